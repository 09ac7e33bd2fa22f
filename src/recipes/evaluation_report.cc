#include "recipes/evaluation_report.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/row_json.h"
#include "eval/correlation.h"
#include "io/atomic_file.h"
#include "runs/run_store.h"

namespace hone::recipes {
namespace {

constexpr size_t kShownRows = 10;
constexpr double kNoticeable = 0.05;  // points; less is rounding

// Keeps the rows with the largest changes, earlier rows first among equals.
void keep_largest(std::vector<eval::ChangedRow>& rows, eval::ChangedRow row) {
  const auto larger = [](const eval::ChangedRow& a, const eval::ChangedRow& b) { return std::abs(a.change()) > std::abs(b.change()); };
  rows.insert(std::upper_bound(rows.begin(), rows.end(), row, larger), std::move(row));
  if (rows.size() > kShownRows) rows.pop_back();
}

// The value of `field` when the text is a JSON object that has it.
std::string class_of(const std::string& text, const std::string& field) {
  const nlohmann::json object = data::parse_json_text(text);
  if (!object.is_object() || !object.contains(field)) return {};
  return object[field].is_string() ? object[field].get<std::string>() : object[field].dump();
}

std::vector<std::string> with_labels(std::vector<std::string> metrics, const Config& config) {
  if (!config.eval.class_field.empty() && std::find(metrics.begin(), metrics.end(), "labels") == metrics.end()) metrics.push_back("labels");
  return metrics;
}

}  // namespace

eval::MetricOptions metric_options(const Config& config) {
  return {eval::parse_bleu_tokenizer(config.eval.bleu_tokenizer, "eval.bleu_tokenizer"), eval::parse_rouge_tokenizer(config.eval.rouge_tokenizer, "eval.rouge_tokenizer")};
}

eval::Resampling resampling(const Config& config) { return {config.eval.bootstrap_samples, config.eval.confidence, static_cast<uint64_t>(config.eval.seed)}; }

std::vector<std::pair<std::string, std::string>> report_settings(const Config& config) {
  const auto& e = config.eval;
  std::vector<std::string> scores;
  for (const auto& [name, w] : e.score.metrics) scores.push_back(fmt::format("{} × {:g} ({:g} … {:g})", name, w.weight, w.worst, w.best));
  return {{"automatic metrics", fmt::format("weight {:g}: {}", e.score.automatic, fmt::join(scores, ", "))},
          {"human ratings", fmt::format("weight {:g}: relevance × {:g}, fluency × {:g}, professionalism × {:g} (1 … 5)", e.score.human, e.score.dimensions[0], e.score.dimensions[1], e.score.dimensions[2])},
          {"BLEU tokenizer", e.bleu_tokenizer},
          {"ROUGE tokenizer", e.rouge_tokenizer},
          {"resamples", fmt::format("{} with seed {}", e.bootstrap_samples, e.seed)}};
}

ReportBuilder::ReportBuilder(const Config& config, const std::vector<std::string>& metrics, const std::vector<std::string>& models, eval::RatingSet ratings, const std::string& ratings_file)
    : config_(config), models_(models), ratings_(std::move(ratings)), ratings_file_(ratings_file), points_(models.size()) {
  for (size_t m = 0; m < models.size(); ++m) scorers_.emplace_back(with_labels(metrics, config), metric_options(config), "eval.metrics");
  score_names_ = scorers_[0].score_names();
  labelled_ = scorers_[0].label_classes().has_value();
  for (const std::string& name : eval::rated_models(ratings_))
    if (!name.empty() && std::find(models_.begin(), models_.end(), name) == models_.end()) {
      const std::string near = nearest(name, models_);
      throw Error(ErrorCode::kInvalidInput, ratings_file_, fmt::format("rates a model \"{}\"; the models here are {}", name, fmt::join(models_, ", ")),
                  near.empty() ? "name the models with --name and --against-name as the ratings do" : fmt::format("did you mean \"{}\"?", near));
    }
  for (const eval::Rating& r : ratings_.ratings) rated_items_.insert(r.item);
}

void ReportBuilder::set_labels(eval::ScoredRow& row) const {
  if (config_.eval.class_field.empty() || row.references.empty()) return;
  row.labels = {class_of(row.prediction, config_.eval.class_field), class_of(row.references[0], config_.eval.class_field)};
}

void ReportBuilder::add(std::vector<eval::ScoredRow> rows, const std::string& prompt) {
  HONE_CHECK(rows.size() == models_.size(), "{} rows of {} models", rows.size(), models_.size());
  std::vector<double> points;
  bool judged = true;  // the row has points at all
  for (size_t m = 0; m < rows.size(); ++m) {
    set_labels(rows[m]);
    const std::vector<double> own = scorers_[m].add(rows[m]);
    std::vector<eval::NamedValue> values;
    for (size_t k = 0; k < own.size(); ++k) values.push_back({score_names_[k], own[k]});
    const auto found = eval::automatic_points(values, config_.eval.score);
    judged &= found.has_value();
    points.push_back(found.value_or(0));
    if (rated_items_.contains(rows[m].id)) points_[m][rows[m].id] = points[m];
  }
  if (rows.size() != 2) return;
  changes_.compared += judged;
  add_change(rows, points, prompt);
}

void ReportBuilder::add_change(const std::vector<eval::ScoredRow>& rows, const std::vector<double>& points, const std::string& prompt) {
  if (labelled_ && !rows[0].references.empty()) {
    const auto before = eval::labels_of(rows[0]), after = eval::labels_of(rows[1]);
    const bool was_right = before.first == before.second, is_right = after.first == after.second;
    const std::string& expected = was_right ? before.second : after.second;
    if (classes_.size() == eval::ClassCounts::kMaxClasses && !classes_.contains(expected)) return;  // LabelCounts has refused more
    eval::ClassChange& c = classes_[expected];
    ++c.rows;
    c.first_right += was_right, c.second_right += is_right;
    c.gained += is_right && !was_right, c.lost += was_right && !is_right;
  }
  const auto show = [](const std::string& text, const std::vector<std::string>& tags) { return tags.empty() ? text : fmt::format("{}", fmt::join(tags, " ")); };
  eval::ChangedRow row{rows[0].where, prompt, show(rows[0].references.empty() ? "" : rows[0].references[0], rows[0].expected_tags), show(rows[0].prediction, rows[0].predicted_tags),
                       show(rows[1].prediction, rows[1].predicted_tags), points[0], points[1]};
  changes_.better += row.change() > kNoticeable;
  changes_.worse += row.change() < -kNoticeable;
  if (row.change() > kNoticeable) keep_largest(gained_, std::move(row));
  else if (row.change() < -kNoticeable) keep_largest(lost_, std::move(row));
}

const std::string& ReportBuilder::rated_name(size_t model) const {
  static const std::string unnamed;
  const auto named = eval::rated_models(ratings_);
  return model + 1 == models_.size() && std::find(named.begin(), named.end(), models_[model]) == named.end() ? unnamed : models_[model];
}

std::set<std::string> ReportBuilder::rated_for_both() const {
  std::set<std::string> both;
  if (models_.size() != 2) return both;
  const auto first = eval::item_means(ratings_.ratings, rated_name(0), config_.eval.score.dimensions), second = eval::item_means(ratings_.ratings, rated_name(1), config_.eval.score.dimensions);
  for (const auto& [item, mean] : first)
    if (second.contains(item)) both.insert(item);
  return both;
}

std::string ReportBuilder::coverage(size_t model, const std::set<std::string>& counted, bool for_both) const {
  std::set<std::string> raters;
  for (const eval::Rating& r : ratings_.ratings)
    if (r.model == rated_name(model) && counted.contains(r.item)) raters.insert(r.rater);
  return fmt::format("{} of {} answers{}, {} rater{}", counted.size(), rows(), for_both ? " (rated for both models)" : "", raters.size(), raters.size() == 1 ? "" : "s");
}

// Scores of people compare two models only over answers to the same rows.
void ReportBuilder::note_different_rows(eval::Report& report, bool none_for_both) const {
  if (models_.size() != 2) return;
  eval::ModelReport &first = report.models[0], &second = report.models[1];
  const auto note = [](eval::ModelReport& model, const std::string& text) {
    if (model.one_score) model.one_score->note += (model.one_score->note.empty() ? "" : "; ") + text;
  };
  if (first.ratings && second.ratings && none_for_both)
    for (eval::ModelReport* model : {&first, &second}) note(*model, "no row was rated for both models: their scores do not compare");
  else if (first.ratings.has_value() != second.ratings.has_value())
    for (eval::ModelReport* model : {&first, &second}) note(*model, fmt::format("people rated {} alone: the two scores do not compare", first.ratings ? first.name : second.name));
}

void ReportBuilder::add_people(eval::Report& report) const {
  for (const std::string& item : rated_items_)
    if (std::none_of(points_.begin(), points_.end(), [&](const auto& of_model) { return of_model.contains(item); }))
      throw Error(ErrorCode::kInvalidInput, ratings_file_, fmt::format("rates an item \"{}\" that no row has", item), "an item is a row's id, or its number from 1");
  const std::set<std::string> both = rated_for_both();
  for (size_t m = 0; m < models_.size(); ++m) {
    eval::ModelReport& model = report.models[m];
    std::set<std::string> counted;  // items that the score stands on
    const auto means = eval::item_means(ratings_.ratings, rated_name(m), config_.eval.score.dimensions);
    std::optional<double> human;
    if (!means.empty()) {
      model.ratings = eval::summarize(ratings_.ratings, rated_name(m));
      eval::Correlation& c = model.correlation.emplace();
      double sum = 0;
      std::vector<double> x, y;
      for (const auto& [item, mean] : means) {
        if (both.empty() || both.contains(item)) {
          sum += mean;
          counted.insert(item);
        }
        x.push_back(points_[m].at(item));
        y.push_back(mean);
        c.pairs.emplace_back(x.back(), mean);
      }
      human = sum / static_cast<double>(counted.size());
      c.pearson = eval::pearson(x, y);
      c.spearman = eval::spearman(x, y);
      c.kendall = eval::kendall_tau_b(x, y);
    }
    std::vector<eval::NamedValue> values = model.figures;
    for (const eval::MetricScore& s : model.scores) values.push_back({s.name, s.value});
    model.one_score = eval::one_score(values, human, config_.eval.score);
    if (model.one_score && human) model.people = coverage(m, counted, !both.empty());
  }
  note_different_rows(report, both.empty());
  report.preferences = eval::summarize(ratings_.preferences);
  report.ratings = ratings_;
}

eval::Report ReportBuilder::finish(const std::string& title, const std::vector<std::vector<eval::NamedValue>>& figures) {
  eval::Report report;
  report.title = title;
  report.rows = rows();
  report.settings = report_settings(config_);
  report.weights = config_.eval.score;
  report.confidence = config_.eval.confidence;
  for (size_t m = 0; m < models_.size(); ++m) {
    eval::ModelReport& model = report.models.emplace_back();
    model.name = models_[m];
    if (m < figures.size()) model.figures = figures[m];
    model.scores = scorers_[m].scores(resampling(config_));
    model.labels = scorers_[m].label_classes();
    model.entities = scorers_[m].entity_types();
  }
  if (models_.size() == 2 && config_.eval.bootstrap_samples > 0) report.comparisons = eval::compare(scorers_[0], scorers_[1], resampling(config_));
  report.changes = changes_;
  report.classes = classes_;
  report.gained = gained_;
  report.lost = lost_;
  add_people(report);
  return report;
}

void write_report(const eval::Report& report, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  io::write_file(folder / "report.json", eval::report_json(report).dump(1) + "\n");
  io::write_file(folder / "report.md", eval::report_markdown(report));
  io::write_file(folder / "report.html", eval::report_html(report));
  const eval::RatingSet& people = report.ratings;
  if (!people.ratings.empty() || !people.preferences.empty()) io::write_file(folder / "ratings.json", eval::ratings_json(people));
  if (!people.ratings.empty()) io::write_file(folder / "ratings.csv", eval::ratings_csv(people.ratings));
  if (!people.preferences.empty()) io::write_file(folder / "preferences.csv", eval::preferences_csv(people.preferences));
}

std::string record_report(const eval::Report& report, const std::filesystem::path& folder, const Config& config) {
  runs::RunStore store(runs::RunStore::default_path());
  const std::string id = store.start("eval", "eval", folder.string(), to_yaml(config));
  if (!folder.empty()) store.add_event(id, 0, "report", (folder / "report.html").string());
  store.finish(id, "done", eval::report_figures(report));
  return id;
}

}  // namespace hone::recipes
