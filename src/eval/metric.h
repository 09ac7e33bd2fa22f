// The automatic metrics behind one face: counts of a row that add up, and scores of their sums.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "eval/bleu.h"
#include "eval/bootstrap.h"
#include "eval/classification.h"
#include "eval/rouge.h"

namespace hone::eval {

/// One row to be scored: a text against one or more references, or two equally long sequences of IOB2 tags.
struct ScoredRow {
  std::string where;  // "file:line", for messages
  std::string prediction;
  std::vector<std::string> references;
  std::vector<std::string> predicted_tags, expected_tags;
  bool tagged = false;
  std::string id;  // the row's own, or its number from 1
  /// What the metric `labels` compares when it is not the whole texts: (predicted, expected).
  std::optional<std::pair<std::string, std::string>> labels;
};

struct MetricOptions {
  BleuTokenizer bleu_tokenizer = BleuTokenizer::k13a;
  RougeTokenizer rouge_tokenizer = RougeTokenizer::kHan;
};

/// Some scores that come from the same counts.
struct Metric {
  std::string name;                 // "rouge"
  std::string setting;              // what has to be said beside the numbers: "tok:han|stem:no"
  std::vector<std::string> scores;  // "rouge1", "rouge2", …
  double best = 1;                  // 100 for BLEU and chrF; the worst is 0
  size_t size = 0;                  // counts per row
  std::function<void(const ScoredRow&, std::span<double>)> count;
  /// All scores of summed counts; `single` when they are one row's.
  std::function<std::vector<double>(std::span<const double>, bool single)> score;
};

/// The names that make_metric knows: bleu, chrf, chrf++, rouge, exact_match, labels, entities.
const std::vector<std::string>& metric_names();
/// Throws Error{kInvalidInput} naming `where` and the nearest name.
Metric make_metric(const std::string& name, const MetricOptions& options, const std::string& where);

struct MetricScore {
  std::string metric, name, setting;
  double value = 0, best = 1;
  std::optional<Interval> interval;
};

/// Scores rows one after another, in memory that does not grow with their number.
class CorpusScorer {
 public:
  CorpusScorer(const std::vector<std::string>& metrics, const MetricOptions& options, const std::string& where);

  /// Throws Error{kInvalidInput} naming the row when a metric cannot be told from it. Returns the row's own scores, in the order of
  /// score_names().
  std::vector<double> add(const ScoredRow& row);
  int64_t rows() const { return rows_; }
  std::vector<std::string> score_names() const;

  /// Scores of all rows; with intervals when there are samples to draw. At least one row.
  std::vector<MetricScore> scores(const Resampling& resampling) const;
  /// By class: of labels, or of entities. Nothing when that metric was not asked for.
  std::optional<ClassReport> label_classes() const;
  std::optional<ClassReport> entity_types() const;

  const std::vector<Metric>& metrics() const { return metrics_; }
  const std::vector<RowSums>& sums() const { return sums_; }

 private:
  std::vector<Metric> metrics_;
  std::vector<RowSums> sums_;
  std::optional<LabelCounts> labels_;
  std::optional<ClassCounts> entities_;
  size_t references_ = 0;  // of every row; 0: their number varies
  int64_t rows_ = 0;
};

/// The label that `row` predicts and the one it expects; a text that equals any reference is right.
std::pair<std::string, std::string> labels_of(const ScoredRow& row);

/// One score of two models on the same rows.
struct ScoreComparison {
  std::string name;
  double first = 0, second = 0, best = 1;
  PairedTest test;
};
/// Both scorers have seen the same rows in the same order, with the same metrics.
std::vector<ScoreComparison> compare(const CorpusScorer& first, const CorpusScorer& second, const Resampling& resampling);

}  // namespace hone::eval
