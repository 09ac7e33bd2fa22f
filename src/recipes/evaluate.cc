#include "recipes/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/text_encoding.h"
#include "eval/perplexity.h"
#include "data/report_notes.h"
#include "recipes/answers.h"
#include "recipes/chat_encoder.h"
#include "recipes/evaluation_report.h"
#include "recipes/run_chat.h"
#include "recipes/tuned_model.h"
#include "text/unicode.h"
#include "train/step.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;

Config held_out_rows(const Config& config, const std::string& data) {
  Config held_out = config;
  if (!data.empty()) {
    held_out.data.validation.assign(1, {});
    held_out.data.validation[0].path = data;
  }
  if (held_out.data.validation.empty())
    throw Error(ErrorCode::kInvalidInput, "data.validation", "no rows to evaluate on are named", "name a file with --data, or data.validation in the YAML file");
  // The loader wants something to train on; what counts here is its validation pass.
  held_out.data.datasets = held_out.data.validation;
  held_out.data.validation_share = 0;
  return held_out;
}

infer::GenerateOptions generate_options(const ModelFiles& files, const std::vector<Question>& questions, int64_t max_tokens) {
  infer::GenerateOptions generate;
  generate.sampler.temperature = 0;
  generate.stop_ids = files.stop_ids;
  generate.max_tokens = max_tokens;
  if (max_tokens == 0) {
    int64_t longest = 0;
    for (const Question& q : questions) longest = std::max(longest, q.tokens);
    generate.max_tokens = longest + longest / 2 + 4;
  }
  return generate;
}

double text_perplexity(const Config& config, const models::CausalLm& model, const ModelFiles& files, const fs::path& path, const std::function<bool()>& interrupted) {
  const std::string text = read_text(path);
  if (!text::utf8_valid(text)) throw Error(ErrorCode::kInvalidInput, path.string(), "is not UTF-8", "convert the file to UTF-8");
  eval::PerplexityOptions options;
  options.method = config.eval.perplexity == "chunks" ? eval::PerplexityMethod::kChunks : eval::PerplexityMethod::kSliding;
  options.window = config.eval.window;
  options.stride = config.eval.stride;
  options.interrupted = interrupted;
  options.bos = ChatEncoder(files).bos();
  // The text of a special token is that token for transformers' tokenizers, and plain text for llama-perplexity.
  std::vector<int32_t> ids = files.tokenizer.encode(text, {.parse_special = options.method == eval::PerplexityMethod::kSliding});
  if (options.bos && (ids.empty() || ids[0] != *options.bos)) ids.insert(ids.begin(), *options.bos);
  try {
    return eval::perplexity(model, ids, options).value();
  } catch (const Error& error) {
    if (error.where() != "text") throw;
    throw Error(error.code(), path.string(), error.message(), error.hint());
  }
}

std::string display_name(const std::string& given, const fs::path& tuned, const char* standard) {
  if (!given.empty()) return given;
  return tuned.empty() ? "base" : standard;
}

std::vector<eval::NamedValue> figures_of(const Evaluation& e) {
  std::vector<eval::NamedValue> figures = {{"loss", e.loss}, {"perplexity", e.perplexity}, {"token_accuracy", e.token_accuracy}};
  if (e.text_perplexity) figures.push_back({"text_perplexity", *e.text_perplexity});
  if (!e.scores || !e.scores->json) return figures;
  figures.push_back({"valid_json", e.scores->valid_json});
  for (const auto& [field, accuracy] : e.scores->field_accuracy) {
    figures.push_back({field + ".accuracy", accuracy});
    figures.push_back({field + ".macro_f1", e.scores->field_macro_f1.at(field)});
  }
  return figures;
}

// A report without answers: the figures alone.
eval::Report figures_report(const Config& config, const std::string& title, const std::vector<std::string>& names, const std::vector<Evaluation>& evaluations) {
  eval::Report report;
  report.title = title;
  report.rows = evaluations.back().rows;
  report.settings = report_settings(config);
  report.weights = config.eval.score;
  for (size_t m = 0; m < names.size(); ++m) {
    eval::ModelReport& model = report.models.emplace_back();
    model.name = names[m];
    model.figures = figures_of(evaluations[m]);
    model.one_score = eval::one_score(model.figures, std::nullopt, config.eval.score);
  }
  return report;
}

}  // namespace

Evaluation evaluate_model(const Config& config, const EvaluateOptions& options,
                          const std::function<void(const std::string&, int64_t, int64_t, const Answer&)>& on_answer) {
  const auto start = std::chrono::steady_clock::now();
  const auto check_interrupt = [&] {
    if (options.interrupted && options.interrupted()) throw Error(ErrorCode::kInterrupted, "eval", "interrupted", "the same command goes on where it stopped");
  };
  const Config held_out = held_out_rows(config, options.data);
  std::vector<std::string> names;
  std::vector<fs::path> results;  // what was trained, of each model
  if (options.compare) names.push_back(display_name(options.against_name, options.against, "other")), results.push_back(options.against);
  names.push_back(display_name(options.name, options.tuned, "tuned")), results.push_back(options.tuned);
  if (options.compare && names[0] == names[1]) throw Error(ErrorCode::kInvalidInput, "--against", fmt::format("both models are called \"{}\"", names[0]), "give them names with --name and --against-name");
  eval::RatingSet ratings;
  if (!options.ratings.empty()) ratings = eval::read_ratings(options.ratings);
  std::vector<eval::HarnessResults> harness;
  for (const auto& file : options.harness) harness.push_back(eval::read_harness_results(file));

  ModelFiles files = open_model(config.model.base, config.model.chat_template);
  if (!options.tuned.empty()) take_run_chat(files, read_run_chat(tuned_folder(options.tuned)));
  data::Loader loader(held_out.data, std::make_shared<ChatEncoder>(files));
  const size_t config_files = held_out.data.datasets.size();  // the same files once more, as rows to train on
  std::vector<Question> questions;
  if (options.answers)
    for (const data::DatasetConfig& file : held_out.data.validation)
      for (Question& q : questions_of(file, held_out, files, options.limit)) questions.push_back(std::move(q));
  const infer::GenerateOptions generate = generate_options(files, questions, options.max_tokens);
  const fs::path folder = options.folder.empty() ? fs::path(config.training.output_dir + "-eval") : options.folder;
  fs::create_directories(folder);

  std::vector<Evaluation> evaluations;
  for (size_t m = 0; m < names.size(); ++m) {
    Evaluation& e = evaluations.emplace_back();
    const fs::path tuned = results[m].empty() ? results[m] : tuned_folder(results[m]);
    models::LoadOptions load = load_options(config);
    load.panels = !questions.empty();
    const auto loaded = std::make_shared<models::CausalLm>(load_tuned(files, load, tuned));
    const models::CausalLm& model = *loaded;
    const auto rows = loader.validation();
    const train::LossSum sum = train::evaluate(model, *rows, options.interrupted);
    check_interrupt();
    e.rows = loader.report().validation_rows();
    e.tokens = sum.tokens;
    e.loss = sum.mean();
    e.perplexity = std::exp(sum.mean());
    e.token_accuracy = sum.accuracy();
    if (!options.text.empty()) e.text_perplexity = text_perplexity(config, model, files, options.text, options.interrupted);
    if (questions.empty()) continue;

    std::string file_name = names[m];
    std::replace(file_name.begin(), file_name.end(), '/', '_');
    const fs::path path = folder / fmt::format("answers-{}.jsonl", file_name);
    if (options.fresh) fs::remove(path);
    AnswerFile file(path, answer_key({files.source->path(), files.stored ? files.stored->adapters : std::vector<fs::path>{}, tuned, load_options(config), generate, config.eval.reasoning}));
    std::vector<std::string> found(questions.size()), expected;
    std::vector<Question> open;
    std::vector<size_t> open_index;
    for (size_t i = 0; i < questions.size(); ++i) {
      expected.push_back(questions[i].expected);
      if (const std::string* known = file.find(questions[i])) found[i] = *known;
      else open.push_back(questions[i]), open_index.push_back(i);
    }
    e.remembered = static_cast<int64_t>(questions.size() - open.size());
    answer_all(loaded, files, open, generate, options.interrupted, [&](size_t i, const std::string& answer) {
      file.add(open[i], answer);
      found[open_index[i]] = answer;
      const Question& q = open[i];
      if (on_answer) on_answer(names[m], e.remembered + static_cast<int64_t>(i) + 1, static_cast<int64_t>(questions.size()), {q.where, q.prompt_text, q.expected, answer});
    });
    e.scores = eval::score_answers(found, expected);
    for (size_t i = 0; i < questions.size(); ++i) e.answers.push_back({questions[i].where, questions[i].prompt_text, expected[i], found[i]});
  }

  // The base is among the settings with its whole path; the heading names it.
  const std::string base = fs::exists(config.model.base) ? fs::path(config.model.base).filename().string() : config.model.base;
  const std::string title = options.compare ? fmt::format("{} against {}: {}", names[1], names[0], base) : fmt::format("{} of {}", names.back(), base);
  Evaluation result = evaluations.back();
  result.remembered = 0;
  for (const Evaluation& e : evaluations) result.remembered += e.remembered;
  if (questions.empty()) {
    result.report = figures_report(config, title, names, evaluations);
  } else {
    ReportBuilder builder(config, config.eval.metrics, names, std::move(ratings), options.ratings.string());
    for (size_t i = 0; i < questions.size(); ++i) {
      std::vector<eval::ScoredRow> rows;
      for (const Evaluation& e : evaluations) {
        eval::ScoredRow& row = rows.emplace_back();
        row.where = questions[i].where;
        row.id = std::to_string(i + 1);
        row.prediction = e.answers[i].found;
        row.references = {questions[i].expected};
      }
      builder.add(std::move(rows), questions[i].prompt_text);
    }
    std::vector<std::vector<eval::NamedValue>> figures;
    for (const Evaluation& e : evaluations) figures.push_back(figures_of(e));
    result.report = builder.finish(title, figures);
  }
  result.report.settings.insert(result.report.settings.begin(), {"base model", config.model.base});
  result.report.harness = std::move(harness);
  write_report(result.report, folder);
  result.folder = folder;
  for (size_t d = config_files; d < loader.report().datasets.size(); ++d)
    for (std::string& note : data::notes_of(loader.report().datasets[d])) result.notes.push_back(std::move(note));
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace hone::recipes
