// hone eval FILE.yaml [--adapter RUN] [--data FILE]
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "apps/verb.h"
#include "recipes/evaluate.h"
#include "runs/run_store.h"

namespace hone::apps {
namespace {

nlohmann::ordered_json to_json(const recipes::Evaluation& e, bool with_answers) {
  nlohmann::ordered_json json = {{"rows", e.rows}, {"tokens", e.tokens}, {"loss", e.loss}, {"perplexity", e.perplexity}, {"token_accuracy", e.token_accuracy}, {"seconds", e.seconds}};
  if (e.scores) {
    json["answers"] = e.scores->answers;
    json["exact_match"] = e.scores->exact_match;
    if (e.scores->json) {
      json["valid_json"] = e.scores->valid_json;
      json["field_accuracy"] = e.scores->field_accuracy;
      json["field_macro_f1"] = e.scores->field_macro_f1;
    }
  }
  if (with_answers)
    for (const auto& a : e.answers) json["generated"].push_back({{"where", a.where}, {"prompt", a.prompt}, {"expected", a.expected}, {"found", a.found}});
  return json;
}

void print(const recipes::Evaluation& e) {
  fmt::print("rows {}   loss {:.4f}   perplexity {:.3f}   token accuracy {:.1f} %\n", e.rows, e.loss, e.perplexity, 100 * e.token_accuracy);
  if (!e.scores) return;
  fmt::print("answers {}   exact match {:.1f} %\n", e.scores->answers, 100 * e.scores->exact_match);
  if (!e.scores->json) return;
  fmt::print("valid JSON with the expected keys {:.1f} %\n", 100 * e.scores->valid_json);
  for (const auto& [field, accuracy] : e.scores->field_accuracy)
    fmt::print("  {:<12} accuracy {:5.1f} %   macro F1 {:.3f}\n", field, 100 * accuracy, e.scores->field_macro_f1.at(field));
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  struct Arguments {
    std::string file, adapter;
    std::vector<std::string> overrides;
    recipes::EvaluateOptions options;
    bool json = false, no_answers = false, show = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("eval", "Loss and answers on rows the model has not been trained on");
  verb->add_option("file", a->file, "configuration")->required();
  verb->add_option("overrides", a->overrides, "key=value settings that override the file");
  verb->add_option("--adapter", a->adapter, "a run's folder (its best is taken) or an adapter; without: the base model");
  verb->add_option("--data", a->options.data, "rows to evaluate on; default: data.validation");
  verb->add_option("--limit", a->options.limit, "answer at most so many rows");
  verb->add_option("--max-tokens", a->options.max_tokens, "per answer; default: half again as many as the longest expected answer has")->check(CLI::Range(1, 100000));
  verb->add_flag("--no-answers", a->no_answers, "the loss only");
  verb->add_flag("--show", a->show, "print every answer beside the expected one");
  verb->add_flag("--json", a->json, "one JSON object");
  verb->callback([a, &action] {
    action = [a] {
      watch_signals();
      a->options.interrupted = interrupted;
      a->options.tuned = a->adapter;
      a->options.answers = !a->no_answers;
      const recipes::Config config = recipes::load_config(a->file, a->overrides);
      const bool live = !a->json && ::isatty(STDOUT_FILENO);
      const auto e = recipes::evaluate_model(config, a->options, [&](int64_t done, int64_t of, const recipes::Answer& answer) {
        if (a->show && !a->json) fmt::print("{}\n  asked    {}\n  expected {}\n  answered {}\n", answer.where, answer.prompt, answer.expected, answer.found);
        else if (live) fmt::print("\r{}/{} answers", done, of), std::fflush(stdout);
      });
      if (live && !a->show) fmt::print("\r\x1b[K");
      runs::RunStore store(runs::RunStore::default_path());
      const std::string id = store.start("eval", "eval", a->adapter.empty() ? config.model.base : a->adapter, recipes::to_yaml(config));
      std::map<std::string, double> figures = {{"loss", e.loss}, {"perplexity", e.perplexity}, {"token_accuracy", e.token_accuracy}};
      if (e.scores) figures["exact_match"] = e.scores->exact_match;
      store.finish(id, "done", figures);
      if (a->json) fmt::print("{}\n", to_json(e, a->show).dump());
      else print(e);
      return 0;
    };
  });
}

}  // namespace hone::apps
