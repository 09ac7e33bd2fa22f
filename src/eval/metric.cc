#include "eval/metric.h"

#include <algorithm>

#include "base/error.h"
#include "eval/characters.h"
#include "eval/chrf.h"
#include "eval/entities.h"

namespace hone::eval {
namespace {

constexpr double kAlways = 1;

Metric make_bleu(const MetricOptions& options) {
  const BleuTokenizer tokenizer = options.bleu_tokenizer;
  return {"bleu", bleu_signature(tokenizer, 0), {"bleu"}, 100, kBleuSize,
          [tokenizer](const ScoredRow& row, std::span<double> out) {
            const BleuCounts counts = bleu_counts(row.prediction, row.references, tokenizer);
            std::copy(counts.begin(), counts.end(), out.begin());
          },
          [](std::span<const double> sums, bool single) { return std::vector<double>{bleu(sums, single).score}; }};
}

Metric make_chrf(int word_order) {
  ChrfOptions options;
  options.word_order = word_order;
  const std::string name = word_order ? "chrf++" : "chrf";
  return {name, chrf_signature(options, 0), {name}, 100, options.size(),
          [options](const ScoredRow& row, std::span<double> out) {
            const std::vector<double> counts = chrf_counts(row.prediction, row.references, options);
            std::copy(counts.begin(), counts.end(), out.begin());
          },
          [options](std::span<const double> sums, bool) { return std::vector<double>{chrf(sums, options)}; }};
}

// Means over rows: the last count is the number of rows.
std::vector<double> means(std::span<const double> sums) {
  std::vector<double> out;
  for (size_t k = 0; k + 1 < sums.size(); ++k) out.push_back(sums.back() > 0 ? sums[k] / sums.back() : 0);
  return out;
}

Metric make_rouge(const MetricOptions& options) {
  const RougeTokenizer tokenizer = options.rouge_tokenizer;
  return {"rouge", fmt::format("tok:{}|stem:no|mean of F", name(tokenizer)), {"rouge1", "rouge2", "rouge_l", "rouge_lsum"}, 1, 5,
          [tokenizer](const ScoredRow& row, std::span<double> out) {
            const RougeScores r = rouge(row.prediction, row.references, tokenizer);
            const double values[] = {r.rouge1.f, r.rouge2.f, r.rouge_l.f, r.rouge_lsum.f, kAlways};
            std::copy(std::begin(values), std::end(values), out.begin());
          },
          [](std::span<const double> sums, bool) { return means(sums); }};
}

bool equals_any(const std::string& found, const std::vector<std::string>& references) {
  return std::any_of(references.begin(), references.end(), [&](const std::string& r) { return trimmed_text(r) == found; });
}

Metric make_exact_match() {
  return {"exact_match", "without white space at both ends", {"exact_match"}, 1, 2,
          [](const ScoredRow& row, std::span<double> out) {
            out[0] = equals_any(trimmed_text(row.prediction), row.references);
            out[1] = kAlways;
          },
          [](std::span<const double> sums, bool) { return means(sums); }};
}

Metric make_labels() {
  return {"labels", "one label per answer", {"accuracy"}, 1, 2,
          [](const ScoredRow& row, std::span<double> out) {
            const auto [predicted, expected] = labels_of(row);
            out[0] = predicted == expected;
            out[1] = kAlways;
          },
          [](std::span<const double> sums, bool) { return means(sums); }};
}

Metric make_entities() {
  return {"entities", "strict IOB2, micro average", {"entity_precision", "entity_recall", "entity_f1"}, 1, 3,
          [](const ScoredRow& row, std::span<double> out) {
            ClassCounts unused;
            const ClassCounts::Count n = count_entities(row.predicted_tags, row.expected_tags, row.where, unused);
            out[0] = static_cast<double>(n.hits), out[1] = static_cast<double>(n.predicted), out[2] = static_cast<double>(n.expected);
          },
          [](std::span<const double> sums, bool single) {
            if (single && sums[1] == 0 && sums[2] == 0) return std::vector<double>{1, 1, 1};  // nothing to find, nothing found
            const PrecisionRecall r = precision_recall(sums[0], sums[1], sums[2]);
            return std::vector<double>{r.precision, r.recall, r.f1};
          }};
}

// "nrefs:var" with the number that every row had.
std::string with_references(std::string setting, size_t references) {
  const size_t at = setting.find("nrefs:var");
  return at == std::string::npos || references == 0 ? setting : setting.replace(at + 6, 3, std::to_string(references));
}

}  // namespace

const std::vector<std::string>& metric_names() {
  static const std::vector<std::string> names = {"bleu", "chrf", "chrf++", "rouge", "exact_match", "labels", "entities"};
  return names;
}

Metric make_metric(const std::string& name, const MetricOptions& options, const std::string& where) {
  if (name == "bleu") return make_bleu(options);
  if (name == "chrf") return make_chrf(0);
  if (name == "chrf++") return make_chrf(2);
  if (name == "rouge") return make_rouge(options);
  if (name == "exact_match") return make_exact_match();
  if (name == "labels") return make_labels();
  if (name == "entities") return make_entities();
  const std::string near = nearest(name, metric_names());
  throw Error(ErrorCode::kInvalidInput, where, fmt::format("there is no metric \"{}\"", name),
              near.empty() ? "the metrics are bleu, chrf, chrf++, rouge, exact_match, labels and entities" : fmt::format("did you mean \"{}\"?", near));
}

std::pair<std::string, std::string> labels_of(const ScoredRow& row) {
  if (row.labels) return *row.labels;
  HONE_CHECK(!row.references.empty(), "no reference");
  std::string found = trimmed_text(row.prediction);
  return equals_any(found, row.references) ? std::pair(found, found) : std::pair(std::move(found), trimmed_text(row.references[0]));
}

CorpusScorer::CorpusScorer(const std::vector<std::string>& metrics, const MetricOptions& options, const std::string& where) {
  for (const std::string& name : metrics) {
    metrics_.push_back(make_metric(name, options, where));
    sums_.emplace_back(metrics_.back().size);
    if (name == "labels") labels_.emplace();
    if (name == "entities") entities_.emplace();
  }
}

std::vector<std::string> CorpusScorer::score_names() const {
  std::vector<std::string> names;
  for (const Metric& metric : metrics_) names.insert(names.end(), metric.scores.begin(), metric.scores.end());
  return names;
}

std::vector<double> CorpusScorer::add(const ScoredRow& row) {
  std::vector<double> own;
  for (size_t m = 0; m < metrics_.size(); ++m) {
    if (metrics_[m].name != "entities" && row.references.empty())
      throw Error(ErrorCode::kInvalidInput, row.where, fmt::format("{} needs a reference, and the row has none", metrics_[m].name), "give every row a reference, or leave this metric out");
    std::vector<double> counts(metrics_[m].size);
    metrics_[m].count(row, counts);
    sums_[m].add(counts);
    for (const double score : metrics_[m].score(counts, /*single=*/true)) own.push_back(score);
  }
  if (labels_) {
    const auto [predicted, expected] = labels_of(row);
    labels_->add(predicted, expected);
  }
  if (entities_) count_entities(row.predicted_tags, row.expected_tags, row.where, *entities_);
  references_ = rows_ == 0 || references_ == row.references.size() ? row.references.size() : 0;
  ++rows_;
  return own;
}

std::vector<MetricScore> CorpusScorer::scores(const Resampling& resampling) const {
  HONE_CHECK(rows_ > 0, "no rows");
  std::vector<MetricScore> out;
  for (size_t m = 0; m < metrics_.size(); ++m) {
    const Metric& metric = metrics_[m];
    const std::vector<double> values = metric.score(sums_[m].total(), /*single=*/false);
    for (size_t k = 0; k < values.size(); ++k) {
      MetricScore& s = out.emplace_back(MetricScore{metric.name, metric.scores[k], with_references(metric.setting, references_), values[k], metric.best, std::nullopt});
      if (resampling.samples > 0)
        s.interval = bootstrap_interval(sums_[m], [&](std::span<const double> sums) { return metric.score(sums, false)[k]; }, resampling);
    }
  }
  const auto add_averages = [&](const char* metric, const char* prefix, const ClassReport& report) {
    out.push_back({metric, std::string(prefix) + "macro_f1", "mean over classes", report.macro.f1, 1, std::nullopt});
    out.push_back({metric, std::string(prefix) + "weighted_f1", "weighted by support", report.weighted.f1, 1, std::nullopt});
  };
  if (labels_) add_averages("labels", "", labels_->report());
  if (entities_) add_averages("entities", "entity_", entities_->report());
  return out;
}

std::optional<ClassReport> CorpusScorer::label_classes() const { return labels_ ? std::optional(labels_->report()) : std::nullopt; }
std::optional<ClassReport> CorpusScorer::entity_types() const { return entities_ ? std::optional(entities_->report()) : std::nullopt; }

std::vector<ScoreComparison> compare(const CorpusScorer& first, const CorpusScorer& second, const Resampling& resampling) {
  HONE_CHECK(first.rows() == second.rows() && first.score_names() == second.score_names(), "{} and {} rows", first.rows(), second.rows());
  std::vector<ScoreComparison> out;
  for (size_t m = 0; m < first.metrics().size(); ++m) {
    const Metric& metric = first.metrics()[m];
    for (size_t k = 0; k < metric.scores.size(); ++k) {
      const Score score = [&](std::span<const double> sums) { return metric.score(sums, false)[k]; };
      out.push_back({metric.scores[k], score(first.sums()[m].total()), score(second.sums()[m].total()), metric.best, paired_test(first.sums()[m], second.sums()[m], score, resampling)});
    }
  }
  return out;
}

}  // namespace hone::eval
