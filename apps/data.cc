// hone data check|…: looking at rows, and making files of rows from others.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "apps/data_arguments.h"
#include "apps/data_print.h"
#include "base/rng.h"
#include "data/data_check.h"
#include "data/permutation.h"
#include "data/report_notes.h"
#include "data/quality/row_text.h"
#include "data/quality/stats.h"
#include "data/quality/text_vectors.h"
#include "data/sample_builder.h"
#include "recipes/data_settings.h"
#include "recipes/instruction_vectors.h"

namespace hone::apps {

using data::DatasetConfig;

namespace {

// user=customer → the file's name of a role.
std::map<std::string, std::string> roles_of(const std::vector<std::string>& words) {
  std::map<std::string, std::string> roles;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    const std::string role = word.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == word.size() || (role != "system" && role != "user" && role != "assistant" && role != "tool" && role != "function_call"))
      throw Error(ErrorCode::kInvalidInput, "--roles", fmt::format("expected role=name, found \"{}\"", word), "for example --roles user=customer --roles assistant=agent; roles: system, user, assistant, tool, function_call");
    roles[word.substr(equals + 1)] = role;
  }
  return roles;
}

data::TurnRules turn_rules(const std::vector<std::string>& words) {
  data::TurnRules rules;
  for (const std::string& word : words) {
    const size_t equals = std::min(word.find('='), word.size());
    const std::string key = word.substr(0, equals), value = word.substr(std::min(equals + 1, word.size())), where = "--turns " + key;
    if (key == "leading_assistant") rules.leading_assistant = data::parse_edge_turns(value, where);
    else if (key == "trailing_turns") rules.trailing_turns = data::parse_edge_turns(value, where);
    else if (key == "repeated_turns") rules.repeated_turns = data::parse_repeated_turns(value, where);
    else throw Error(ErrorCode::kInvalidInput, "--turns", fmt::format("unknown setting \"{}\"", key), "leading_assistant=keep|trim|drop, trailing_turns=keep|trim|drop, repeated_turns=keep|merge|drop");
  }
  return rules;
}

}  // namespace

std::vector<DatasetConfig> datasets(const DataArguments& a, const std::vector<std::string>& paths) {
  std::vector<DatasetConfig> list;
  for (const std::string& path : paths) {
    DatasetConfig dataset;
    dataset.path = path;
    dataset.format = data::parse_format(a.format, "--format");
    for (const std::string& word : a.columns) {
      const size_t equals = word.find('=');
      if (equals == std::string::npos || equals == 0) throw Error(ErrorCode::kInvalidInput, "--columns", fmt::format("expected name=column, found \"{}\"", word), "for example --columns instruction=question --columns output=answer");
      dataset.columns[word.substr(0, equals)] = word.substr(equals + 1);
    }
    dataset.roles = roles_of(a.roles);
    list.push_back(std::move(dataset));
  }
  return list;
}

data::Rows open_rows(const DataArguments& a, const char* allowed) {
  if (a.files.empty()) throw Error(ErrorCode::kInvalidInput, "command line", "no file is named", "name one file of rows or more");
  return data::Rows(datasets(a, a.files), data::parse_bad_row_limit(a.max_bad_rows.empty() ? allowed : a.max_bad_rows, "--max-bad-rows"), turn_rules(a.turns));
}

std::string row_notes(const data::Rows& rows, size_t reasons) {
  std::string text;
  for (const data::Dataset& file : rows.files())
    for (const std::string& note : data::notes_of(file.report(), reasons)) text += "note: " + note + "\n";
  return text;
}

std::unique_ptr<recipes::ChatEncoder> encoder_of(const DataArguments& a, const data::Rows& rows) {
  if (a.model.empty()) return nullptr;
  auto encoder = std::make_unique<recipes::ChatEncoder>(recipes::open_model(a.model, a.chat_template));
  for (const data::Dataset& file : rows.files()) data::check_encoder(file, *encoder);
  return encoder;
}

std::optional<data::RowClasses> classes_of(const DataArguments& a, const data::Rows& rows) {
  if (!a.class_field.empty()) return data::classes_by_field(rows, a.class_field, interrupted);
  if (!a.class_rules.empty()) return data::classes_by_rules(rows, recipes::load_class_rules(a.class_rules), interrupted);
  if (a.clusters == 0) return std::nullopt;
  data::ClusterRules rules;
  rules.clusters = a.clusters, rules.seed = static_cast<uint64_t>(a.seed);
  const auto vectors = recipes::instruction_vectors(a.embed.empty() ? a.model : a.embed);
  return data::classes_by_clusters(rows, *vectors, rules, interrupted);
}

void add_files(CLI::App* sub, DataArguments& a) {
  sub->add_option("files", a.files, "files of rows");
  sub->add_option("--format", a.format, "messages, alpaca, sharegpt, prompt_completion or text; default: from the keys");
  sub->add_option("--columns", a.columns, "name=column where a file's keys differ, for example output=answer")->allow_extra_args(false);
  sub->add_option("--roles", a.roles, "role=name where a file names roles its own way, for example user=customer")->allow_extra_args(false);
  sub->add_option("--turns", a.turns, "what becomes of turns out of order, for example repeated_turns=merge (docs/data.md)")->allow_extra_args(false);
}

void add_model(CLI::App* sub, DataArguments& a) {
  sub->add_option("--model", a.model, "the model whose tokenizer and chat template count");
  sub->add_option("--chat-template", a.chat_template, "a file or a known name instead of the model's own");
}

void add_classes(CLI::App* sub, DataArguments& a) {
  auto* field = sub->add_option("--class-field", a.class_field, "classes are the values of this field (answer.KEY: a key of the answer's JSON)");
  auto* rules = sub->add_option("--class-rules", a.class_rules, "classes are told by the words of a YAML file")->excludes(field);
  auto* clusters = sub->add_option("--clusters", a.clusters, "classes are so many clusters of alike instructions; by the model's embeddings when one is named")->check(CLI::Range(2, 256))->excludes(field)->excludes(rules);
  sub->add_option("--embed", a.embed, "clusters by this model's embeddings instead: a BERT encoder (a folder of sentence-transformers or a GGUF file), or any other model")->needs(clusters);
  sub->add_option("--seed", a.seed, "of the clusters and of every choice")->check(CLI::Range(int64_t{0}, int64_t{1} << 62));
}

void add_band(CLI::App* sub, DataArguments& a) {
  sub->add_option("--model", a.model, "clusters by this model's embeddings");
  sub->add_option("--band-low", a.band_low, "a class's rows over the mean of all: at least")->check(CLI::Range(0.0, 1.0));
  sub->add_option("--band-high", a.band_high, "a class's rows over the mean of all: at most")->check(CLI::Range(1.0, 1e6));
}

void add_output(CLI::App* sub, DataArguments& a, const char* meaning) {
  sub->add_option("-o,--output", a.output, meaning)->required();
  sub->add_flag("--overwrite", a.overwrite, "replace what the output names");
  sub->add_option("--max-bad-rows", a.max_bad_rows, "malformed rows that may be left out: a share such as 5%, or a number; default: 1%");
}

namespace {

int check(const DataArguments& a) {
  if (a.list_settings) {
    for (const auto& key : data::check_keys()) fmt::print("{:<24} {:<8} {}\n", key.key, key.standard, key.meaning);
    return 0;
  }
  const data::CheckSettings settings = recipes::load_check_settings(a.settings, a.settings_words);
  const data::Rows rows = open_rows(a, "100%");
  std::optional<data::Rows> held_out;
  if (!a.held_out.empty()) held_out.emplace(datasets(a, a.held_out), data::parse_bad_row_limit("100%", "--held-out"), turn_rules(a.turns));
  const auto encoder = encoder_of(a, rows);
  std::optional<data::ClassReport> classes;
  if (const auto found = classes_of(a, rows)) classes = data::report_of(rows, *found, settings.band_low, settings.band_high, settings.min_class_rows, settings.wanted.value_or(20), settings.examples);
  const data::CheckReport report = data::check_rows(rows, held_out ? &*held_out : nullptr, encoder.get(), settings, classes ? &*classes : nullptr, interrupted);
  if (a.json) fmt::print("{}\n", dumped(check_json(report)));
  else print_check(report);
  return report.broken.empty() ? 0 : 2;
}

int classes(const DataArguments& a) {
  const data::Rows rows = open_rows(a, "100%");
  const auto found = classes_of(a, rows);
  if (!found) throw Error(ErrorCode::kInvalidInput, "command line", "nothing says what the classes are", "name --class-field FIELD, --class-rules FILE or --clusters N");
  const data::ClassReport report = data::report_of(rows, *found, a.band_low, a.band_high, 1, a.wanted, a.examples);
  if (a.json) fmt::print("{}\n", dumped(classes_json(report)));
  else print_classes(report, "classes");
  return 0;
}

int stats(const DataArguments& a) {
  const data::Rows rows = open_rows(a, "100%");
  const auto encoder = encoder_of(a, rows);
  const data::RowStats s = data::stats_of(rows, encoder.get(), interrupted);
  if (a.json) {
    nlohmann::ordered_json json;
    for (const auto& file : s.files) json["files"].push_back({{"path", file.path}, {"format", data::name(file.format)}, {"rows", file.rows}, {"bytes", file.bytes}, {"malformed", file.problems.malformed()}});
    json["characters"] = lengths_json(s.characters), json["prompt_characters"] = lengths_json(s.prompt_characters), json["answer_characters"] = lengths_json(s.answer_characters), json["turns"] = lengths_json(s.turns);
    if (s.tokens) json["tokens"] = lengths_json(*s.tokens), json["learned_tokens"] = lengths_json(*s.learned_tokens), json["refused"] = s.refused;
    fmt::print("{}\n", dumped(json));
    return 0;
  }
  for (const auto& file : s.files) fmt::print("{} ({}, {}): {} rows, {} malformed\n", file.path, data::name(file.container), data::name(file.format), file.rows, file.problems.malformed());
  fmt::print("{}", row_notes(rows));
  print_lengths(s.turns, "turns");
  print_lengths(s.prompt_characters, "characters of prompts");
  print_lengths(s.answer_characters, "characters of answers");
  if (s.tokens) {
    print_lengths(*s.tokens, "tokens");
    print_lengths(*s.learned_tokens, "tokens learned");
    if (s.refused > 0) fmt::print("{} rows give no sample: hone data check says why\n", s.refused);
  }
  return 0;
}

// A row as words of its roles.
void show_turns(const data::Example& example) {
  if (example.kind == data::Example::Kind::kText) return fmt::print("{}\n", example.text);
  if (example.kind == data::Example::Kind::kCompletion) return fmt::print("prompt      {}\ncompletion  {}\n", example.prompt, example.completion);
  for (const auto& message : example.messages) {
    fmt::print("{:<10}  {}\n", message["role"].get_ref<const std::string&>(), message["content"].get_ref<const std::string&>());
    if (message.contains("tool_calls")) fmt::print("{:<10}  {}\n", "", dumped(message["tool_calls"]));
  }
}

void show_sample(const data::Sample& sample, const data::Encoder& encoder, bool colour) {
  fmt::print("# {} tokens, {} learned: {}\n", sample.length(), sample.supervised(), colour ? "\x1b[32min green\x1b[0m" : "between ⟦ and ⟧");
  bool open = false;
  float weight = 1;
  std::string text;
  for (size_t i = 0; i < sample.ids.size(); ++i) {
    const bool learned = sample.loss_mask[i] != 0;
    const float counts = learned && !sample.weights.empty() ? sample.weights[i] : 1;
    if (open && (!learned || counts != weight)) text += colour ? "\x1b[0m" : "⟧";
    if (learned && (!open || counts != weight)) text += (counts == 1 ? "" : fmt::format("×{:g}", counts)) + (colour ? "\x1b[32m" : "⟦");
    open = learned;
    weight = counts;
    text += encoder.describe(sample.ids[i]);
  }
  fmt::print("{}{}\n", text, open ? (colour ? "\x1b[0m" : "⟧") : "");
}

int show(const DataArguments& a) {
  const data::Rows rows = open_rows(a, "100%");
  const auto encoder = encoder_of(a, rows);
  std::vector<uint32_t> chosen;
  const data::Permutation order(Rng{static_cast<uint64_t>(a.seed), Rng::kSample, 0}, rows.size());
  for (uint64_t i = a.random ? 0 : static_cast<uint64_t>(a.row - 1); i < rows.size() && static_cast<int64_t>(chosen.size()) < a.shown; ++i) {
    const auto row = static_cast<uint32_t>(a.random ? order.at(i) : i);
    if (rows.usable(row)) chosen.push_back(row);
  }
  if (chosen.empty()) throw Error(ErrorCode::kInvalidInput, "--row", fmt::format("there is no usable row from {} on\n{}", a.row, row_notes(rows)), fmt::format("the files have {} rows", rows.size()));
  const bool colour = colours();
  data::ReadRow read;
  for (const uint32_t row : chosen) {
    rows.read(row, read);
    fmt::print("# {}\n", rows.where(row));
    if (!encoder) {
      show_turns(read.example);
      continue;
    }
    std::vector<data::Sample> samples;
    if (const auto issue = data::build_samples(read.example, *encoder, {1 << 30, data::CutOffPolicy::kDrop, data::TrainOn::kAssistant}, {}, samples)) {
      fmt::print("no sample: {}: {}\n", data::name(issue->kind), issue->message);
      continue;
    }
    for (const data::Sample& sample : samples) show_sample(sample, *encoder, colour);
  }
  fmt::print("{}", row_notes(rows));
  return 0;
}

}  // namespace

void add_data(CLI::App& app, Action& action) {
  auto a = std::make_shared<DataArguments>();
  CLI::App* verb = app.add_subcommand("data", "Look at files of rows, and make others from them");
  verb->require_subcommand(1);
  const auto on = [&](CLI::App* sub, int (*run)(const DataArguments&)) {
    sub->add_flag("--json", a->json, "one JSON object");
    sub->callback([a, run, &action] {
      action = [a, run] {
        watch_signals();
        return run(*a);
      };
    });
  };
  CLI::App* checking = verb->add_subcommand("check", "what is wrong with rows: duplicates, leaks, lengths, labels, languages, personal data; exit code 2 when a limit is broken");
  add_files(checking, *a);
  add_model(checking, *a);
  add_classes(checking, *a);
  checking->add_option("--held-out", a->held_out, "files whose rows must not occur among the others")->allow_extra_args(false);
  checking->add_option("--settings", a->settings, "limits and settings from a YAML file");
  checking->add_option("--set", a->settings_words, "key=value: one of them")->allow_extra_args(false);
  checking->add_flag("--list-settings", a->list_settings, "show every setting");
  on(checking, check);
  CLI::App* classing = verb->add_subcommand("classes", "which kinds of instructions there are, how many of those wanted, and whether they are balanced");
  add_files(classing, *a);
  add_classes(classing, *a);
  add_band(classing, *a);
  classing->add_option("--wanted", a->wanted, "classes that should be covered")->check(CLI::Range(1, 1000000));
  classing->add_option("--examples", a->examples, "instructions shown of each class")->check(CLI::Range(0, 20));
  on(classing, classes);
  CLI::App* measuring = verb->add_subcommand("stats", "rows, turns, characters and, with a model, tokens");
  add_files(measuring, *a);
  add_model(measuring, *a);
  on(measuring, stats);
  CLI::App* showing = verb->add_subcommand("show", "rows as they are read or, with a model, as its template renders them, with what is learned marked");
  add_files(showing, *a);
  add_model(showing, *a);
  showing->add_option("--row", a->row, "the first one, counted from 1 over all files")->check(CLI::Range(int64_t{1}, int64_t{1} << 31));
  showing->add_option("--count", a->shown, "so many")->check(CLI::Range(1, 1000000));
  showing->add_flag("--random", a->random, "rows drawn by --seed instead of the first ones");
  showing->add_option("--seed", a->seed, "of --random")->check(CLI::Range(int64_t{0}, int64_t{1} << 62));
  showing->callback([a, &action] { action = [a] { return show(*a); }; });
  add_data_edits(verb, *a, on);
  add_data_review(verb, action);
}

}  // namespace hone::apps
