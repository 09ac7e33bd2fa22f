#include "recipes/score_files.h"

#include "base/error.h"
#include "recipes/evaluation_report.h"

namespace hone::recipes {
namespace {

std::string or_stem(const std::string& name, const std::filesystem::path& file) { return name.empty() ? file.stem().string() : name; }

}  // namespace

eval::Report score_files(const Config& config, const ScoreFilesOptions& options) {
  const bool two = !options.against.empty();
  std::vector<std::string> models;
  if (two) models.push_back(or_stem(options.against_name, options.against));
  models.push_back(or_stem(options.name, options.predictions));
  if (two && models[0] == models[1]) models[0] = options.against.string(), models[1] = options.predictions.string();
  eval::RatingSet ratings;
  if (!options.ratings.empty()) ratings = eval::read_ratings(options.ratings);
  const std::vector<std::string> metrics = eval::holds_tags(options.predictions) ? std::vector<std::string>{"entities"} : config.eval.metrics;
  ReportBuilder builder(config, metrics, models, std::move(ratings), options.ratings.string());
  eval::RowReader reader(options.predictions, options.references);
  std::optional<eval::RowReader> other;
  if (two) other.emplace(options.against, options.references);
  while (auto row = reader.next()) {
    std::vector<eval::ScoredRow> rows;
    if (other) {
      auto against = other->next();
      if (!against) throw Error(ErrorCode::kInvalidInput, options.against.string(), fmt::format("has fewer rows than {}", options.predictions.string()), "both models answer the same rows");
      against->id = row->id;
      rows.push_back(std::move(*against));
    }
    rows.push_back(std::move(*row));
    builder.add(std::move(rows), "");
  }
  if (other && other->next()) throw Error(ErrorCode::kInvalidInput, options.against.string(), fmt::format("has more rows than {}", options.predictions.string()), "both models answer the same rows");
  if (builder.rows() == 0) throw Error(ErrorCode::kInvalidInput, options.predictions.string(), "holds no row", "write one prediction per line");
  eval::Report report = builder.finish(models.back() + (two ? " against " + models.front() : ""), {});
  for (const auto& file : options.harness) report.harness.push_back(eval::read_harness_results(file));
  return report;
}

eval::Report import_harness(const std::vector<std::filesystem::path>& files) {
  eval::Report report;
  report.title = "lm-evaluation-harness";
  for (const auto& file : files) report.harness.push_back(eval::read_harness_results(file));
  return report;
}

}  // namespace hone::recipes
