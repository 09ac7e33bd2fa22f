// The `eval:` block: metrics, texts, and how the one score is weighted.
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/metric.h"
#include "eval/ratings.h"
#include "recipes/config_key_kinds.h"
#include "recipes/config_keys.h"
#include "recipes/config_values.h"

namespace hone::recipes {
namespace {

const std::vector<std::string>& score_names() {
  static const std::vector<std::string> names = {"bleu", "chrf", "chrf++", "rouge1", "rouge2", "rouge_l", "rouge_lsum", "exact_match", "accuracy", "macro_f1", "weighted_f1", "entity_precision", "entity_recall",
                                                 "entity_f1", "entity_macro_f1", "entity_weighted_f1", "valid_json", "token_accuracy", "loss", "perplexity"};
  return names;
}

[[noreturn]] void refuse(const std::string& where, const std::string& message, const std::string& hint) { throw Error(ErrorCode::kInvalidInput, where, message, hint); }

void check_name(const std::string& name, const std::vector<std::string>& known, const std::string& where) {
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  const std::string near = nearest(name, known);
  refuse(where, fmt::format("expected one of {}, found \"{}\"", fmt::join(known, ", "), name), near.empty() ? "use one of these" : fmt::format("did you mean \"{}\"?", near));
}

double number_of(const YAML::Node& node, const std::string& where, double low) {
  double value = NAN;
  try {
    value = node.as<double>();
  } catch (const YAML::Exception&) {
  }
  if (!(std::isfinite(value) && value >= low)) refuse(where, low == 0 ? "expected a number that is not negative" : "expected a number", "for example 1");
  return value;
}

void check_map(const YAML::Node& node, const std::string& where, const char* example) {
  if (!node.IsMap()) refuse(where, "expected a mapping", example);
}

eval::ScoreWeight read_weight(const std::string& name, const YAML::Node& node, const std::string& where) {
  const auto& standard = eval::ScoreSettings::standard().metrics;
  const bool hundred = name == "chrf++" || (standard.contains(name) && standard.at(name).best == 100);
  eval::ScoreWeight weight{1, 0, hundred ? 100.0 : 1.0};
  if (!node.IsMap()) weight.weight = number_of(node, where, 0);
  else
    for (const auto& entry : node) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      check_name(key, {"weight", "worst", "best"}, where);
      if (key == "weight") weight.weight = number_of(entry.second, where + ".weight", 0);
      else (key == "worst" ? weight.worst : weight.best) = number_of(entry.second, where + "." + key, -INFINITY);
    }
  if ((name == "loss" || name == "perplexity") && (!node.IsMap() || !node["worst"] || !node["best"]))
    refuse(where, "has no natural worst and best value", fmt::format("write {}: {{weight: 1, worst: 30, best: 1}}", name));
  if (weight.worst == weight.best) refuse(where, "worst and best are equal", "points lie on the line between them");
  return weight;
}

Key score_key() {
  return {"eval.score", {}, "the scores that count, as {name: {weight, worst, best}}: 0 points at worst, 100 at best", true,
          [](Config& c, const YAML::Node& node, const std::string& where) {
            check_map(node, where, "for example {rouge_l: 1, bleu: {weight: 2, worst: 0, best: 60}}");
            c.eval.score.metrics.clear();
            for (const auto& entry : node) {
              const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
              check_name(name, score_names(), where);
              c.eval.score.metrics[name] = read_weight(name, entry.second, where + "." + name);
            }
          },
          [](const Config& c) {
            std::vector<std::string> entries;
            for (const auto& [name, w] : c.eval.score.metrics) entries.push_back(fmt::format("{}: {{weight: {}, worst: {}, best: {}}}", name, w.weight, w.worst, w.best));
            return fmt::format("{{{}}}", fmt::join(entries, ", "));
          }};
}

Key dimensions_key() {
  return {"eval.dimensions", {}, "how much each dimension of human ratings counts", true,
          [](Config& c, const YAML::Node& node, const std::string& where) {
            check_map(node, where, "for example {relevance: 2, fluency: 1, professionalism: 1}");
            const std::vector<std::string> known(eval::kDimensions.begin(), eval::kDimensions.end());
            auto& weights = c.eval.score.dimensions;
            weights = {0, 0, 0};
            for (const auto& entry : node) {
              const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
              check_name(name, known, where);
              weights[static_cast<size_t>(std::find(known.begin(), known.end(), name) - known.begin())] = number_of(entry.second, where + "." + name, 0);
            }
            if (std::all_of(weights.begin(), weights.end(), [](double w) { return w == 0; })) refuse(where, "no dimension counts", "give at least one of them a weight above 0");
          },
          [](const Config& c) {
            const auto& w = c.eval.score.dimensions;
            return fmt::format("{{relevance: {}, fluency: {}, professionalism: {}}}", w[0], w[1], w[2]);
          }};
}

}  // namespace

std::vector<Key> eval_keys() {
  std::vector<Key> keys;
  const auto add = [&](Key key) { keys.push_back(std::move(key)); };
  add({"eval.metrics", {}, "bleu, chrf, chrf++, rouge, exact_match, labels, entities", true,
       [](Config& c, const YAML::Node& node, Where where) {
         c.eval.metrics.clear();
         for (const std::string& name : words_of(node, where)) {
           eval::make_metric(name, {}, where);
           if (std::find(c.eval.metrics.begin(), c.eval.metrics.end(), name) == c.eval.metrics.end()) c.eval.metrics.push_back(name);
         }
       },
       [](const Config& c) { return fmt::format("[{}]", fmt::join(c.eval.metrics, ", ")); }});
  add(word("eval.bleu_tokenizer", {}, {{"none", "none"}, {"13a", "13a"}, {"zh", "zh"}, {"intl", "intl"}, {"char", "char"}}, FIELD(eval.bleu_tokenizer), "sacreBLEU's zh (13a with each Chinese character a word), 13a, intl, char or none", true));
  add(word("eval.rouge_tokenizer", {}, {{"han", "han"}, {"ascii", "ascii"}}, FIELD(eval.rouge_tokenizer), "han (each Chinese character a word), or rouge-score's ascii", true));
  add(text("eval.class_field", {}, FIELD(eval.class_field), "the key of JSON answers whose value is their class; empty: the whole answer", true));
  add(number("eval.automatic_weight", {}, 0, 1e6, FIELD(eval.score.automatic), "share of the automatic metrics in the one score", true));
  add(number("eval.human_weight", {}, 0, 1e6, FIELD(eval.score.human), "share of the human ratings in the one score", true));
  add(dimensions_key());
  add(score_key());
  add(integer("eval.bootstrap_samples", {}, 0, 1000000, FIELD(eval.bootstrap_samples), "resamples for intervals and paired tests; 0: none", true));
  add(number("eval.confidence", {}, 0.5, 0.9999, FIELD(eval.confidence), "of the intervals", true));
  add(integer("eval.seed", {}, 0, int64_t{1} << 40, FIELD(eval.seed), "of the resamples", true));
  add(word("eval.perplexity", {}, {{"sliding", "sliding"}, {"chunks", "chunks"}}, FIELD(eval.perplexity), "of a text: sliding windows (transformers), or chunks whose second half counts (llama-perplexity)", true));
  add(integer("eval.window", {}, 2, 1 << 20, FIELD(eval.window), "tokens the model sees at once when it reads a text", true));
  add(flag("eval.reasoning", {}, FIELD(eval.reasoning), "compare <think> … </think> too, in front of what clients get as content"));
  add(integer("eval.stride", {}, 1, 1 << 20, FIELD(eval.stride), "tokens by which the sliding window moves", true));
  return keys;
}

}  // namespace hone::recipes
