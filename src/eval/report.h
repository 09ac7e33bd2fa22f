// What an evaluation found, and its three forms: JSON, Markdown, and one HTML file with pictures that loads nothing.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "eval/classification.h"
#include "eval/lm_eval.h"
#include "eval/metric.h"
#include "eval/one_score.h"
#include "eval/ratings.h"

namespace hone::eval {

/// How far automatic points and people's ratings of the same answers go together.
struct Correlation {
  std::vector<std::pair<double, double>> pairs;  // (automatic points, mean rating) by item
  std::optional<double> pearson, spearman, kendall;
};

struct ModelReport {
  std::string name;
  std::vector<NamedValue> figures;  // besides the scores: loss, perplexity, token_accuracy, …
  std::vector<MetricScore> scores;
  std::optional<OneScore> one_score;
  std::string people;  // what the human part of the score stands on: "3 of 8 answers, 1 rater"; empty without one
  std::optional<ClassReport> labels, entities;
  std::optional<RatingSummary> ratings;
  std::optional<Correlation> correlation;
};

/// Rows whose automatic points differ noticeably between two models.
struct RowChanges {
  int64_t compared = 0, better = 0, worse = 0;  // of the second
};

/// Rows of one expected class: how many were right before and after, turned right, turned wrong.
struct ClassChange {
  int64_t rows = 0, first_right = 0, second_right = 0, gained = 0, lost = 0;
};

struct ChangedRow {
  std::string where, prompt, expected, first, second;
  double first_points = 0, second_points = 0;

  double change() const { return second_points - first_points; }
};

struct Report {
  std::string title;
  int64_t rows = 0;
  std::vector<std::pair<std::string, std::string>> settings;  // what the numbers depend on
  ScoreSettings weights;
  double confidence = 0.95;
  std::vector<ModelReport> models;            // one, or two: the second is compared with the first
  std::vector<ScoreComparison> comparisons;
  RowChanges changes;
  std::map<std::string, ClassChange> classes;
  std::vector<ChangedRow> gained, lost;       // the rows that changed most, largest change first
  std::vector<PairwiseSummary> preferences;
  std::vector<HarnessResults> harness;
  RatingSet ratings;                          // as they were read; kept beside the report, not in it
};

/// The result in a sentence: "tuned against base: loss 3.74 → 1.35, BLEU 4.0 → 31.2, better on 8 of 8 rows". Empty for a report without
/// models.
std::string summary(const Report& report);

nlohmann::ordered_json report_json(const Report& report);
std::string report_markdown(const Report& report);
std::string report_html(const Report& report);

/// Every figure under one name, for the run history: those of the last model, those of the first with "first." before them.
std::map<std::string, double> report_figures(const Report& report);

}  // namespace hone::eval
