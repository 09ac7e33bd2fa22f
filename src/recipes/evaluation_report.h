// From scored rows, ratings and settings to a report; and where reports are kept.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "eval/report.h"
#include "eval/row_files.h"
#include "recipes/config.h"

namespace hone::recipes {

/// Takes the rows of one or two models (the second is compared with the first) one after another. Memory grows with the number of
/// rated rows and of classes, not with that of rows.
class ReportBuilder {
 public:
  /// `ratings` may be empty; a rating without a model's name belongs to the last model. Throws Error{kInvalidInput} when ratings name
  /// a model that is not there.
  ReportBuilder(const Config& config, const std::vector<std::string>& metrics, const std::vector<std::string>& models, eval::RatingSet ratings, const std::string& ratings_file);

  /// One row's answers: models() rows that differ in their prediction only. `prompt` is shown beside rows that changed.
  void add(std::vector<eval::ScoredRow> rows, const std::string& prompt);
  int64_t rows() const { return scorers_[0].rows(); }

  /// `figures` of each model count towards its score as well. At least one row; throws Error{kInvalidInput} when ratings name an item
  /// that no row has.
  eval::Report finish(const std::string& title, const std::vector<std::vector<eval::NamedValue>>& figures);

 private:
  void set_labels(eval::ScoredRow& row) const;
  void add_change(const std::vector<eval::ScoredRow>& rows, const std::vector<double>& points, const std::string& prompt);
  void add_people(eval::Report& report) const;
  const std::string& rated_name(size_t model) const;
  // Items that people rated for both of two models; the human parts of their scores then stand on these alone.
  std::set<std::string> rated_for_both() const;
  // "3 of 8 answers, 1 rater"
  std::string coverage(size_t model, const std::set<std::string>& counted, bool for_both) const;
  void note_different_rows(eval::Report& report, bool none_for_both) const;

  const Config& config_;
  std::vector<std::string> models_;
  eval::RatingSet ratings_;
  std::string ratings_file_;
  std::vector<eval::CorpusScorer> scorers_;
  std::vector<std::string> score_names_;
  bool labelled_ = false;
  std::set<std::string> rated_items_;
  std::vector<std::map<std::string, double>> points_;  // by model: automatic points of the rated rows
  eval::RowChanges changes_;
  std::map<std::string, eval::ClassChange> classes_;
  std::vector<eval::ChangedRow> gained_, lost_;
};

/// The `eval:` block as the evaluation layer's options.
eval::MetricOptions metric_options(const Config& config);
eval::Resampling resampling(const Config& config);
/// What the numbers depend on, for the report's last section.
std::vector<std::pair<std::string, std::string>> report_settings(const Config& config);

/// report.html, report.md and report.json in a folder, which is made; with ratings also ratings.json and ratings.csv or
/// preferences.csv.
void write_report(const eval::Report& report, const std::filesystem::path& folder);

/// Enters the report's figures into the run history; returns the run's id.
std::string record_report(const eval::Report& report, const std::filesystem::path& folder, const Config& config);

}  // namespace hone::recipes
