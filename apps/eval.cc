// hone eval FILE.yaml [--adapter RUN] [--against RUN|base] [--data FILE], hone eval --predictions FILE [--references FILE …]
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "apps/eval_rate.h"
#include "apps/terminal.h"
#include "base/error.h"
#include "recipes/evaluate.h"
#include "recipes/evaluation_report.h"
#include "recipes/score_files.h"
#include "recipes/tuned_model.h"

namespace hone::apps {
namespace {

struct Arguments {
  std::string file, adapter, against;
  std::vector<std::string> overrides, references, harness;
  std::string predictions, ratings, text, folder, name, against_name, metrics;
  recipes::EvaluateOptions options;
  bool json = false, no_answers = false, show = false;
};

nlohmann::ordered_json to_json(const recipes::Evaluation& e, bool with_answers) {
  nlohmann::ordered_json json = {{"rows", e.rows}, {"tokens", e.tokens}, {"loss", e.loss}, {"perplexity", e.perplexity}, {"token_accuracy", e.token_accuracy}, {"seconds", e.seconds}};
  if (e.text_perplexity) json["text_perplexity"] = *e.text_perplexity;
  if (e.scores) {
    json["answers"] = e.scores->answers;
    json["answers_used_again"] = e.remembered;
    json["exact_match"] = e.scores->exact_match;
    if (e.scores->json) {
      json["valid_json"] = e.scores->valid_json;
      json["field_accuracy"] = e.scores->field_accuracy;
      json["field_macro_f1"] = e.scores->field_macro_f1;
    }
  }
  if (with_answers)
    for (const auto& a : e.answers) json["generated"].push_back({{"where", a.where}, {"prompt", a.prompt}, {"expected", a.expected}, {"found", a.found}});
  json["folder"] = e.folder.string();
  json["report"] = eval::report_json(e.report);
  return json;
}

std::string figure(double value, double best) { return best > 1 ? fmt::format("{:.2f}", value) : fmt::format("{:.4f}", value); }

void print(const eval::Report& report) {
  for (const eval::ModelReport& m : report.models) {
    if (report.models.size() > 1) fmt::print("{}:\n", m.name);
    for (const eval::MetricScore& s : m.scores) {
      const std::string interval = s.interval ? fmt::format("[{}, {}]", figure(s.interval->low, s.best), figure(s.interval->high, s.best)) : "";
      fmt::print("{}\n", wrapped_line(fmt::format("  {:<20} {:>9}   {:<20} {}", s.name, figure(s.value, s.best), interval, s.setting), 35));
    }
    if (m.correlation) {
      const auto text = [](const std::optional<double>& v) { return v ? fmt::format("{:.3f}", *v) : std::string("-"); };
      fmt::print("  metrics and people: Pearson {}, Spearman {}, Kendall {} over {} answers\n", text(m.correlation->pearson), text(m.correlation->spearman), text(m.correlation->kendall), m.correlation->pairs.size());
    }
    if (m.one_score) {
      const eval::OneScore& s = *m.one_score;
      fmt::print("{}\n", wrapped_line(fmt::format("  {:<20} {:>9.1f}   of 100{}{}", "one score", s.points, m.people.empty() ? "" : "; people: " + m.people, s.note.empty() ? "" : "; " + s.note), 35));
    }
  }
  if (!report.comparisons.empty()) fmt::print("{} → {}:\n", report.models[0].name, report.models[1].name);
  for (const eval::ScoreComparison& c : report.comparisons)
    fmt::print("{}\n", wrapped_line(fmt::format("  {:<20} {:>9} → {:<9} {:+.4g}   p {:.4f}", c.name, figure(c.first, c.best), figure(c.second, c.best), c.test.difference, c.test.p), 23));
  for (const auto& [name, c] : report.classes) fmt::print("  class {:<14} {} rows: {} → {} right, {} gained, {} lost\n", name, c.rows, c.first_right, c.second_right, c.gained, c.lost);
  for (const eval::HarnessResults& h : report.harness)
    for (const eval::HarnessResult& r : h.results) fmt::print("  {:<30} {:<16} {:>9.4f}\n", r.task, r.metric, r.value);
}

// Whose it is, before each line of figures.
void print_figures(const eval::Report& report) {
  size_t longest = 0;
  for (const eval::ModelReport& m : report.models) longest = std::max(longest, m.name.size());
  for (const eval::ModelReport& m : report.models) {
    std::map<std::string_view, double> figures;
    for (const eval::NamedValue& f : m.figures) figures[f.name] = f.value;
    if (!figures.contains("loss")) continue;
    fmt::print("{}\n", wrapped_line(fmt::format("{:<{}}   loss {:.4f}   perplexity {:.3f}   token accuracy {:.1f} %", m.name, longest, figures["loss"], figures["perplexity"], 100 * figures["token_accuracy"]),
                                     static_cast<int64_t>(longest) + 3));
    if (figures.contains("text_perplexity")) fmt::print("{:<{}}   perplexity of the text {:.4f}\n", "", longest, figures["text_perplexity"]);
  }
}

void print(const recipes::Evaluation& e) {
  if (const std::string result = eval::summary(e.report); !result.empty()) fmt::print("{}\n", wrapped_line(result, 2));
  fmt::print("rows {}\n", e.rows);
  print_figures(e.report);
  if (e.remembered > 0) fmt::print("{} answer{} of an earlier run {} used again; --fresh asks again\n", e.remembered, e.remembered == 1 ? "" : "s", e.remembered == 1 ? "is" : "are");
  if (e.scores) {
    const std::string& name = e.report.models.back().name;  // whose answers these are
    fmt::print("{}   answers {}   exact match {:.1f} %\n", name, e.scores->answers, 100 * e.scores->exact_match);
    if (e.scores->json) {
      fmt::print("{}   valid JSON with the expected keys {:.1f} %\n", name, 100 * e.scores->valid_json);
      for (const auto& [field, accuracy] : e.scores->field_accuracy)
        fmt::print("  {:<12} accuracy {:5.1f} %   macro F1 {:.3f}\n", field, 100 * accuracy, e.scores->field_macro_f1.at(field));
    }
  }
  print(e.report);
  fmt::print("report  {}\n", (e.folder / "report.html").string());
}

recipes::Config config_of(Arguments& a) {
  if (a.file.find('=') != std::string::npos && !std::filesystem::exists(a.file)) a.overrides.insert(a.overrides.begin(), std::exchange(a.file, {}));  // no file, settings only
  if (!a.metrics.empty()) a.overrides.push_back("eval.metrics=" + a.metrics);
  return a.file.empty() ? recipes::parse_config("", "command line", a.overrides) : recipes::load_config(a.file, a.overrides);
}

// Metrics of files, or results of another program; no model.
int run_files(Arguments& a, const recipes::Config& config) {
  eval::Report report;
  if (a.predictions.empty()) {
    report = recipes::import_harness({a.harness.begin(), a.harness.end()});
  } else {
    recipes::ScoreFilesOptions options;
    options.predictions = a.predictions;
    options.references.assign(a.references.begin(), a.references.end());
    options.against = a.against;
    options.name = a.name;
    options.against_name = a.against_name;
    options.ratings = a.ratings;
    options.harness.assign(a.harness.begin(), a.harness.end());
    report = recipes::score_files(config, options);
  }
  if (!a.folder.empty()) recipes::write_report(report, a.folder);
  const std::string id = recipes::record_report(report, a.folder, config);
  if (a.json) {
    nlohmann::ordered_json out = eval::report_json(report);
    out["run"] = id;
    fmt::print("{}\n", out.dump());
    return 0;
  }
  if (const std::string result = eval::summary(report); !result.empty()) fmt::print("{}\n", wrapped_line(result, 2));
  if (report.rows) fmt::print("{} rows\n", report.rows);
  print(report);
  if (!a.folder.empty()) fmt::print("report  {}\n", (std::filesystem::path(a.folder) / "report.html").string());
  return 0;
}

int run_model(Arguments& a, const recipes::Config& config) {
  watch_signals();
  recipes::EvaluateOptions& options = a.options;
  options.interrupted = interrupted;
  options.tuned = a.adapter;
  options.compare = !a.against.empty();
  if (a.against != "base") options.against = a.against;
  options.name = a.name;
  options.against_name = a.against_name;
  options.answers = !a.no_answers;
  options.text = a.text;
  options.ratings = a.ratings;
  options.folder = a.folder;
  options.harness.assign(a.harness.begin(), a.harness.end());
  for (const std::filesystem::path& result : {options.tuned, options.against})
    if (!result.empty())
      for (const std::string& note : recipes::tuned_notes(recipes::tuned_folder(result))) fmt::print(stderr, "note: {}\n", note);
  const bool live = !a.json && ::isatty(STDOUT_FILENO);
  LiveLine progress;
  const auto e = recipes::evaluate_model(config, options, [&](const std::string& model, int64_t done, int64_t of, const recipes::Answer& answer) {
    if (a.show && !a.json) fmt::print("{}\n  asked    {}\n  expected {}\n  {} answered {}\n", answer.where, answer.prompt, answer.expected, model, answer.found);
    else if (live) progress.draw({{1, model + ":"}, {0, fmt::format("{}/{} answers", done, of)}}), std::fflush(stdout);
  });
  progress.clear();
  recipes::record_report(e.report, e.folder, config);
  for (const std::string& note : e.notes) fmt::print(stderr, "note: {}\n", note);
  if (a.json) fmt::print("{}\n", to_json(e, a.show).dump());
  else print(e);
  return 0;
}

int run(Arguments& a) {
  const recipes::Config config = config_of(a);
  const bool files = !a.predictions.empty() || (a.file.empty() && !a.harness.empty());
  if (a.predictions.empty() && !a.references.empty()) throw Error(ErrorCode::kInvalidInput, "--references", "there are no predictions to compare with", "name them with --predictions");
  if (!files && a.file.empty()) throw Error(ErrorCode::kInvalidInput, "command line", "there is nothing to evaluate", "name a configuration, or files with --predictions and --references");
  if (files && !a.adapter.empty()) throw Error(ErrorCode::kInvalidInput, "--adapter", "files are scored without a model", "leave --adapter or --predictions out");
  return files ? run_files(a, config) : run_model(a, config);
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("eval", "Loss and answers on rows the model has not been trained on; or the metrics of files");
  verb->add_option("file", a->file, "configuration; may be left out with --predictions");
  verb->add_option("overrides", a->overrides, "key=value settings that override the file");
  verb->add_option("--adapter", a->adapter, "a run's folder (its best is taken) or an adapter; without: the base model");
  verb->add_option("--against", a->against, "base, or another run, to compare with; with --predictions: another file of predictions");
  verb->add_option("--data", a->options.data, "rows to evaluate on; default: data.validation");
  verb->add_option("--limit", a->options.limit, "answer at most so many rows");
  verb->add_option("--max-tokens", a->options.max_tokens, "per answer; default: half again as many as the longest expected answer has")->check(CLI::Range(1, 100000));
  verb->add_option("--text", a->text, "a text whose perplexity is measured as well");
  verb->add_option("--predictions", a->predictions, "score this file (.txt or .jsonl) without a model");
  verb->add_option("--references", a->references, "what was expected, row by row; given again: one more reference per row")->allow_extra_args(false);
  verb->add_option("--metrics", a->metrics, "bleu, chrf, chrf++, rouge, exact_match, labels, entities; default: eval.metrics");
  verb->add_option("--ratings", a->ratings, "people's ratings (.csv, .json or .jsonl)");
  verb->add_option("--lm-eval", a->harness, "results of lm-evaluation-harness to show beside; may be given again")->allow_extra_args(false);
  verb->add_option("--name", a->name, "of the model, in report and ratings");
  verb->add_option("--against-name", a->against_name, "of the model to compare with");
  verb->add_option("--report", a->folder, "folder for report.html, report.md and report.json, and for answers");
  verb->add_flag("--fresh", a->options.fresh, "generate every answer again");
  verb->add_flag("--no-answers", a->no_answers, "the loss only");
  verb->add_flag("--show", a->show, "print every answer beside the expected one");
  verb->add_flag("--json", a->json, "one JSON object");
  const CLI::App* rating = add_eval_rate(verb, action);
  verb->callback([a, rating, &action] {
    if (!rating->parsed()) action = [a] { return run(*a); };
  });
}

}  // namespace hone::apps
