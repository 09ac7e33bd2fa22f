// hone data split|mix|balance|convert: new files of rows from others. Inputs are never changed.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "apps/data_arguments.h"
#include "apps/data_print.h"
#include "data/edit/balance.h"
#include "data/edit/convert.h"
#include "data/edit/label_studio.h"
#include "data/edit/mix.h"
#include "data/edit/split.h"

namespace hone::apps {
namespace {

[[noreturn]] void bad(const std::string& where, const std::string& message, const std::string& hint) { throw Error(ErrorCode::kInvalidInput, where, message, hint); }

// With `rows`, what was left out of them and why comes after the text.
void say(const DataArguments& a, const nlohmann::ordered_json& json, const std::string& text, const data::Rows* rows = nullptr) {
  if (a.json) fmt::print("{}\n", dumped(json));
  else fmt::print("{}\n{}", text, rows ? row_notes(*rows) : "");
}

void stop_if_asked(uint32_t row) {
  if (row % 1024 == 0 && interrupted()) throw Error(ErrorCode::kInterrupted, "data", "interrupted", "nothing was written");
}

int split(const DataArguments& a) {
  if ((a.share > 0) == (a.count > 0)) bad("command line", "say how much is held out", "--share 0.1, or --count 500");
  for (const std::string& output : {a.output, a.held_out_output}) data::check_output(output, a.files, a.overwrite);
  if (std::filesystem::weakly_canonical(a.output) == std::filesystem::weakly_canonical(a.held_out_output)) bad(a.output, "both outputs are one file", "name two");
  const data::Rows rows = open_rows(a, "1%");
  data::SplitRules rules;
  rules.share = a.share, rules.count = a.count, rules.seed = static_cast<uint64_t>(a.seed), rules.group = a.group, rules.similarity = a.similarity;
  const data::SplitPlan plan = data::plan_split(rows, rules, interrupted);
  data::RowWriter training(a.output, data::columns_of(rows, 0)), held_out(a.held_out_output, data::columns_of(rows, 0));
  for (uint32_t row = 0; row < rows.size(); ++row) {
    stop_if_asked(row);
    if (rows.usable(row)) data::copy_row(rows, row, plan.held_out[row] ? held_out : training);
  }
  training.finish();
  held_out.finish();
  say(a, {{"training_rows", plan.training_rows}, {"held_out_rows", plan.held_out_rows}, {"groups", plan.groups}, {"largest_group", plan.largest_group}, {"left_out", rows.size() - plan.training_rows - plan.held_out_rows}},
      fmt::format("{}: {} rows\n{}: {} rows held out\n{} groups, the largest of {} rows; {} malformed rows left out", a.output, plan.training_rows, a.held_out_output, plan.held_out_rows, plan.groups, plan.largest_group,
                  rows.size() - plan.training_rows - plan.held_out_rows), &rows);
  return 0;
}

std::vector<double> numbers_of(const std::vector<std::string>& words, const char* where, size_t files) {
  std::vector<double> numbers;
  for (const std::string& word : words) {
    double value = 0;
    const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (problem != std::errc() || end != word.data() + word.size() || !(value >= 0 && value <= 2e9)) bad(where, fmt::format("\"{}\" is not a number from 0 to 2000000000", word), "one number per file, separated by commas");
    numbers.push_back(value);
  }
  if (numbers.size() != files) bad(where, fmt::format("{} numbers for {} files", numbers.size(), files), "one number per file, separated by commas, in the order of the files");
  if (*std::max_element(numbers.begin(), numbers.end()) <= 0) bad(where, "every number is 0", "give at least one file rows");
  return numbers;
}

// Rows that lie in files of several formats can be mixed when they are converted.
data::Format common_format(const DataArguments& a, const data::Rows& rows) {
  const data::Format wanted = data::parse_format(a.to, "--to");
  if (wanted != data::Format::kAuto) return wanted;
  const data::RowFormat& first = rows.files().front().format();
  for (const data::Dataset& file : rows.files())
    if (file.format().format != first.format || file.format().columns != first.columns)
      bad(file.report().path, fmt::format("its rows are in the form {}, those of {} in the form {}, or their columns differ", data::name(file.format().format), rows.files().front().report().path, data::name(first.format)),
          "say --to messages to convert all of them");
  return data::Format::kAuto;
}

int mix(const DataArguments& a) {
  if (!a.weights.empty() && !a.counts.empty()) bad("command line", "--weights and --counts are given", "choose one");
  data::check_output(a.output, a.files, a.overwrite);
  const data::Rows rows = open_rows(a, "1%");
  const data::Format to = common_format(a, rows);
  std::vector<int64_t> counts;
  if (!a.counts.empty()) {
    for (const double count : numbers_of(a.counts, "--counts", a.files.size())) counts.push_back(static_cast<int64_t>(count));
  } else {
    std::vector<double> weights(a.files.size());
    for (size_t file = 0; file < weights.size(); ++file) weights[file] = static_cast<double>(rows.files()[file].report().rows - rows.files()[file].report().problems.malformed());
    int64_t total = a.rows;
    for (const double rows_of_file : weights) total += a.rows > 0 ? 0 : static_cast<int64_t>(rows_of_file);
    if (!a.weights.empty()) weights = numbers_of(a.weights, "--weights", a.files.size());
    counts = data::shares_of(weights, total);
  }
  const std::vector<uint32_t> plan = data::plan_mix(rows, counts, static_cast<uint64_t>(a.seed));
  std::vector<std::string> columns = data::columns_of(rows, 0);
  if (to != data::Format::kAuto) columns = data::canonical_columns(to);
  data::RowWriter writer(a.output, columns);
  data::ReadRow read;
  data::Json converted;
  uint32_t done = 0;
  for (const uint32_t row : plan) {
    stop_if_asked(done++);
    if (to == data::Format::kAuto) {
      data::copy_row(rows, row, writer);
      continue;
    }
    rows.read(row, read);
    const std::string reason = data::convert_row(read.example, read.json, rows.files()[rows.file_of(row)].format(), to, {}, converted);
    if (!reason.empty()) bad(rows.where(row), fmt::format("the row cannot become {}: {}", data::name(to), reason), "mix into a format that can hold every row, such as messages");
    writer.write(converted);
  }
  writer.finish();
  nlohmann::ordered_json parts = nlohmann::ordered_json::array();
  std::string text = fmt::format("{}: {} rows", a.output, writer.rows());
  for (size_t file = 0; file < counts.size(); ++file) {
    parts.push_back({{"path", a.files[file]}, {"rows", counts[file]}, {"of", rows.files()[file].report().rows}});
    text += fmt::format("\n  {:>8} of the {} of {}", counts[file], rows.files()[file].report().rows, a.files[file]);
  }
  say(a, {{"rows", writer.rows()}, {"parts", parts}}, text, &rows);
  return 0;
}

std::string file_name(const std::string& name, size_t number) {
  std::string plain;
  for (const char c : name.substr(0, 40))
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) plain += c;
  return fmt::format("class-{:03}{}{}.jsonl", number, plain.empty() ? "" : "-", plain);
}

// A file per class and the weights that make them equal: what `data:` of a training file takes.
int balance_by_weights(const DataArguments& a, const data::Rows& rows, const data::RowClasses& classes) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::exists(a.output) && !(fs::is_directory(a.output) && fs::is_empty(a.output, ignored)) && !a.overwrite) bad(a.output, "exists already", "name another folder, or say --overwrite");
  fs::create_directories(a.output);
  std::vector<int64_t> sizes(classes.names.size());
  for (const int32_t c : classes.of_row)
    if (c >= 0) ++sizes[static_cast<size_t>(c)];
  const auto with_rows = std::count_if(sizes.begin(), sizes.end(), [](int64_t n) { return n > 0; });
  if (with_rows < 2) bad(a.files.front(), fmt::format("{} class has rows by {}: there is nothing to balance", with_rows, classes.how), "name a field or rules that tell at least two classes apart");
  if (with_rows > 500) bad(a.files.front(), fmt::format("{} classes would become as many files", with_rows), "balance --by down, up or both");
  int64_t total = 0;
  for (const int64_t n : sizes) total += n;
  std::string yaml = "data:\n  datasets:\n", text;
  nlohmann::ordered_json parts = nlohmann::ordered_json::array();
  for (size_t c = 0; c < sizes.size(); ++c) {
    if (sizes[c] == 0) continue;
    const std::string path = (fs::path(a.output) / file_name(classes.names[c], c)).string();
    data::check_output(path, a.files, a.overwrite);
    data::RowWriter writer(path, {});
    for (uint32_t row = 0; row < rows.size(); ++row)
      if (classes.of_row[row] == static_cast<int32_t>(c)) data::copy_row(rows, row, writer);
    writer.finish();
    const double weight = static_cast<double>(total) / static_cast<double>(with_rows) / static_cast<double>(sizes[c]);
    yaml += fmt::format("    - {{path: {}, weight: {:.6g}}}\n", dumped(path), weight);
    parts.push_back({{"path", path}, {"class", classes.names[c]}, {"rows", sizes[c]}, {"weight", weight}});
    text += fmt::format("  {:>8} × {:<8.4g} {}\n", sizes[c], weight, path);
  }
  const std::string list = (fs::path(a.output) / "data.yaml").string();
  io::write_file(list, yaml);
  say(a, {{"list", list}, {"parts", parts}}, text + list + ": the files with their weights, for a training file", &rows);
  return 0;
}

int balance(const DataArguments& a) {
  const bool weights = a.by == "weights";
  const data::BalanceBy by = weights ? data::BalanceBy::kDown : data::parse_balance_by(a.by);
  if (!weights) data::check_output(a.output, a.files, a.overwrite);
  const data::Rows rows = open_rows(a, "1%");
  const auto classes = classes_of(a, rows);
  if (!classes) bad("command line", "nothing says what the classes are", "name --class-field FIELD, --class-rules FILE or --clusters N");
  if (weights) return balance_by_weights(a, rows, *classes);
  const data::BalancePlan plan = data::plan_balance(rows, *classes, by, a.band_low, a.band_high, static_cast<uint64_t>(a.seed), !a.drop_unclassified);
  data::RowWriter writer(a.output, data::columns_of(rows, 0));
  for (uint32_t row = 0; row < rows.size(); ++row) {
    stop_if_asked(row);
    for (uint32_t time = 0; time < plan.times[row]; ++time) data::copy_row(rows, row, writer);
  }
  writer.finish();
  nlohmann::ordered_json parts = nlohmann::ordered_json::array();
  std::string text = fmt::format("{}: {} rows", a.output, writer.rows());
  for (size_t c = 0; c < plan.names.size(); ++c) {
    parts.push_back({{"class", plan.names[c]}, {"before", plan.before[c]}, {"after", plan.after[c]}});
    if (c < 60) text += fmt::format("\n  {:>8} → {:<8} {}", plan.before[c], plan.after[c], plan.names[c].substr(0, 60));
  }
  if (plan.unclassified > 0) text += fmt::format("\n  {} rows without a class were {}", plan.unclassified, a.drop_unclassified ? "left out" : "kept");
  say(a, {{"rows", writer.rows()}, {"unclassified", plan.unclassified}, {"classes", parts}}, text, &rows);
  return 0;
}

// An export of Label Studio becomes rows.
int convert_tasks(const DataArguments& a) {
  if (a.files.size() != 1) bad("command line", "tasks are read from one file", "name one export of Label Studio");
  if (a.to != "auto") bad("--to", "the rows of an export stay in the form they had", "convert the new file afterwards");
  const auto report = data::read_tasks(a.files.front(), a.output, a.annotated_only, data::parse_bad_row_limit(a.max_bad_rows.empty() ? "1%" : a.max_bad_rows, "--max-bad-rows"), interrupted);
  std::string text = fmt::format("{}: {} tasks, {} annotated, {} annotations, {} malformed", a.output, report.tasks, report.annotated, report.annotations, report.malformed);
  for (const std::string& problem : report.problems) text += "\n  left out: " + problem;
  say(a, {{"tasks", report.tasks}, {"annotated", report.annotated}, {"annotations", report.annotations}, {"malformed", report.malformed}, {"problems", report.problems}}, text);
  return 0;
}

int convert(const DataArguments& a) {
  data::check_output(a.output, a.files, a.overwrite);
  if (a.from != "" && a.from != "label-studio") bad("--from", fmt::format("unknown form \"{}\"", a.from), "only label-studio must be named; the other formats are --format");
  if (a.files.size() == 1 && (a.from == "label-studio" || data::is_label_studio(a.files.front()))) return convert_tasks(a);
  if (a.to == "label-studio") {
    const data::Rows rows = open_rows(a, "1%");
    const int64_t tasks = data::write_tasks(rows, a.label, a.output, interrupted);
    say(a, {{"tasks", tasks}}, fmt::format("{}: {} tasks for Label Studio", a.output, tasks), &rows);
    return 0;
  }
  const data::Format to = data::parse_format(a.to, "--to");
  const data::Rows rows = open_rows(a, "1%");
  data::ChatRenderer render;
  if (!a.model.empty()) {
    const recipes::ModelFiles files = recipes::open_model(a.model, a.chat_template);
    if (!files.chat) bad(a.model, "the model has no chat template", "name one with --chat-template");
    render = [files](const data::Json& messages, const data::Json& tools) {
      auto options = files.render_options();
      options.tools = tools;
      const text::RenderedPrompt chat = text::render_conversation(*files.chat, messages, options);
      if (files.encode_pieces(chat.text, chat.words, {}) != files.encode_pieces(chat.text, {}, {}))
        throw Error(ErrorCode::kUnsupported, files.chat->where(), "words of a turn spell a special token, which they would become in text");
      return chat.text;
    };
  }
  const data::Format target = to == data::Format::kAuto ? rows.files().front().format().format : to;
  if (target == data::Format::kText && !render)
    for (const data::Dataset& file : rows.files())
      if (const auto from = file.format().format; from != data::Format::kText && from != data::Format::kPromptCompletion)
        bad("command line", fmt::format("rows of the form {} become text through a chat template, and none is given", data::name(from)), "name --model MODEL");
  const data::ConvertReport report = data::convert_rows(rows, target, render, data::parse_bad_row_limit(a.max_bad_rows.empty() ? "1%" : a.max_bad_rows, "--max-bad-rows"), a.output, interrupted);
  std::string text = fmt::format("{}: {} rows in the form {}", a.output, report.written, data::name(target));
  nlohmann::ordered_json left_out = nlohmann::ordered_json::array();
  for (const data::Problem& problem : report.left_out) left_out.push_back(problem.text()), text += "\n  left out: " + problem.text();
  say(a, {{"written", report.written}, {"format", data::name(target)}, {"left_out_rows", report.left_out_rows}, {"left_out", left_out}}, text);
  return 0;
}

}  // namespace

void add_data_edits(CLI::App* verb, DataArguments& a, const AddPart& on) {
  const auto part = [&](const char* name, const char* meaning, const char* output) {
    CLI::App* sub = verb->add_subcommand(name, meaning);
    add_files(sub, a);
    add_output(sub, a, output);
    return sub;
  };
  const auto seeded = [&](CLI::App* sub) { sub->add_option("--seed", a.seed, "of every choice")->check(CLI::Range(int64_t{0}, int64_t{1} << 62)); };
  CLI::App* splitting = part("split", "sets rows aside, in whole groups", "the rows to train on");
  splitting->add_option("--held-out", a.held_out_output, "the rows set aside")->required();
  splitting->add_option("--share", a.share, "of the rows, for example 0.1")->check(CLI::Range(1e-9, 0.999999999));
  splitting->add_option("--count", a.count, "so many rows")->check(CLI::Range(int64_t{1}, int64_t{1} << 31));
  splitting->add_option("--group", a.group, "rows with the same value of this field stay together; near-duplicates: rows with alike prompts; default: equal prompts");
  splitting->add_option("--similarity", a.similarity, "from which prompts are near-duplicates")->check(CLI::Range(0.5, 1.0));
  seeded(splitting);
  on(splitting, split);
  CLI::App* mixing = part("mix", "rows of several files, shuffled into one", "the new file");
  mixing->add_option("--weights", a.weights, "relative shares, one per file: 2,1; default: every row once")->delimiter(',')->allow_extra_args(false);
  mixing->add_option("--counts", a.counts, "rows of each file: 1000,200; rows repeat where a file has fewer")->delimiter(',')->allow_extra_args(false);
  mixing->add_option("--rows", a.rows, "of the new file, with --weights; default: as many as all files have")->check(CLI::Range(int64_t{1}, int64_t{1} << 31));
  mixing->add_option("--to", a.to, "the format to convert all rows to; needed when they differ");
  seeded(mixing);
  on(mixing, mix);
  CLI::App* balancing = part("balance", "a new file in which the classes' rows lie within a band around their mean", "the new file; with --by weights: a folder");
  add_classes(balancing, a);
  add_band(balancing, a);
  balancing->add_option("--by", a.by, "down leaves rows out (default), up repeats some, both does either, weights writes a file per class and their weights");
  balancing->add_flag("--drop-unclassified", a.drop_unclassified, "leave out rows without a class instead of keeping them");
  on(balancing, balance);
  CLI::App* converting = part("convert", "the same rows in another format or file type", "the new file; its extension (.jsonl, .json, .csv, .tsv) says the file type");
  add_model(converting, a);
  converting->add_option("--to", a.to, "messages, alpaca, sharegpt, prompt_completion, text or label-studio; default: as it is");
  converting->add_option("--from", a.from, "label-studio: the file is an export of it (usually found from its first task)");
  converting->add_option("--label", a.label, "with --to label-studio: a field whose value reviewers only correct");
  converting->add_flag("--annotated-only", a.annotated_only, "of an export, only tasks that somebody annotated");
  on(converting, convert);
}

}  // namespace hone::apps
