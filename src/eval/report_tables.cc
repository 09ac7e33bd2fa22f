#include "eval/report_tables.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "eval/charts.h"

namespace hone::eval {
namespace {

std::string figure(double value, double best) { return best > 1 ? fmt::format("{:.2f}", value) : fmt::format("{:.4f}", value); }
std::string optional_figure(const std::optional<double>& value) { return value ? fmt::format("{:.3f}", *value) : "–"; }

std::string with_interval(const MetricScore& s) {
  return s.interval ? fmt::format("{} [{}, {}]", figure(s.value, s.best), figure(s.interval->low, s.best), figure(s.interval->high, s.best)) : figure(s.value, s.best);
}

constexpr size_t kShownClasses = 200;
std::string class_name(const std::string& name) { return name.empty() ? "(empty)" : name; }

// A last row that says what was left out.
void note_left_out(std::vector<std::vector<std::string>>& table, size_t all) {
  if (all <= kShownClasses) return;
  table.emplace_back(table[0].size());
  table.back()[0] = fmt::format("… {} more in report.json", all - kShownClasses);
}

Section one_score_section(const Report& report) {
  Section section{"One score", {}, {{"", "points", "automatic", "human", "people", "note"}}, {}};
  section.sentences.push_back(fmt::format("Automatic metrics count {:g} and human ratings {:g}; each metric is brought to 0 … 100 points between its worst and best value.", report.weights.automatic, report.weights.human));
  std::vector<Bar> bars;
  for (const ModelReport& m : report.models) {
    if (!m.one_score) continue;
    const OneScore& s = *m.one_score;
    section.table.push_back({m.name, fmt::format("{:.1f}", s.points), s.automatic ? fmt::format("{:.1f}", *s.automatic) : "–", s.human ? fmt::format("{:.1f}", *s.human) : "–", m.people, s.note});
    bars.push_back({m.name, fmt::format("{:.1f}", s.points), {s.points}, {}});
  }
  section.picture = bar_chart("Points of 100", {"points"}, bars);
  return section;
}

Section parts_section(const Report& report, const ModelReport& model) {
  Section section{"What the score of " + model.name + " is made of", {}, {{"part", "value", "worst", "best", "points", "share"}}, {}};
  for (const OneScore::Part& p : model.one_score->parts) {
    const auto weight = report.weights.metrics.find(p.name);
    const ScoreWeight range = weight == report.weights.metrics.end() ? ScoreWeight{1, 1, 5} : weight->second;
    section.table.push_back({p.name, fmt::format("{:.4g}", p.value), fmt::format("{:g}", range.worst), fmt::format("{:g}", range.best), fmt::format("{:.1f}", p.points), fmt::format("{:.1f} %", 100 * p.share)});
  }
  return section;
}

Section metrics_section(const Report& report) {
  Section section{"Automatic metrics", {}, {{"metric"}}, {}};
  std::vector<std::string> series;
  for (const ModelReport& m : report.models) section.table[0].push_back(m.name), series.push_back(m.name);
  section.table[0].push_back("setting");
  if (!report.models[0].scores.empty() && report.models[0].scores[0].interval) section.sentences.push_back(fmt::format("In brackets: {:g} % intervals from resampled rows.", 100 * report.confidence));
  std::vector<Bar> bars;
  for (size_t i = 0; i < report.models[0].figures.size(); ++i) {
    std::vector<std::string> row = {report.models[0].figures[i].name};
    for (const ModelReport& m : report.models) row.push_back(i < m.figures.size() ? fmt::format("{:.5g}", m.figures[i].value) : "–");
    row.push_back("");
    section.table.push_back(std::move(row));
  }
  for (size_t i = 0; i < report.models[0].scores.size(); ++i) {
    const MetricScore& first = report.models[0].scores[i];
    std::vector<std::string> row = {first.name};
    Bar bar{first.name, "", {}, {}};
    for (const ModelReport& m : report.models) {
      const MetricScore& s = m.scores[i];
      row.push_back(with_interval(s));
      bar.values.push_back(100 * s.value / s.best);
      bar.intervals.emplace_back(100 * (s.interval ? s.interval->low : s.value) / s.best, 100 * (s.interval ? s.interval->high : s.value) / s.best);
    }
    bar.note = figure(report.models.back().scores[i].value, first.best);
    row.push_back(first.setting);
    section.table.push_back(std::move(row));
    bars.push_back(std::move(bar));
  }
  if (!bars.empty()) section.picture = bar_chart("Metrics, per cent of their best value", series, bars);
  return section;
}

Section comparison_section(const Report& report) {
  Section section{fmt::format("{} against {}", report.models[1].name, report.models[0].name), {}, {{"metric", report.models[0].name, report.models[1].name, "difference", "interval", "p"}}, {}};
  section.sentences.push_back("p: how often a difference this large arises when each row's two answers change sides at random (approximate randomisation, two-sided).");
  for (const ScoreComparison& c : report.comparisons)
    section.table.push_back({c.name, figure(c.first, c.best), figure(c.second, c.best), fmt::format("{:+.4g}", c.test.difference), fmt::format("[{:+.4g}, {:+.4g}]", c.test.interval.low, c.test.interval.high), fmt::format("{:.4f}", c.test.p)});
  return section;
}

Section change_section(const Report& report) {
  Section section{"Gains and losses by class", {}, {{"class", "rows", report.models[0].name, report.models[1].name, "gained", "lost"}}, {}};
  std::vector<Bar> bars;
  for (const auto& [name, c] : report.classes) {
    const auto share = [&](int64_t right) { return 100 * static_cast<double>(right) / static_cast<double>(c.rows); };
    if (section.table.size() > kShownClasses) break;
    section.table.push_back({class_name(name), fmt::format("{}", c.rows), fmt::format("{:.1f} %", share(c.first_right)), fmt::format("{:.1f} %", share(c.second_right)), fmt::format("{}", c.gained), fmt::format("{}", c.lost)});
    if (bars.size() < 30) bars.push_back({class_name(name), fmt::format("+{} −{}", c.gained, c.lost), {share(c.first_right), share(c.second_right)}, {}});
  }
  note_left_out(section.table, report.classes.size());
  section.picture = bar_chart("Right answers by class, per cent", {report.models[0].name, report.models[1].name}, bars);
  return section;
}

Section class_section(const std::string& heading, const ClassReport& classes) {
  Section section{heading, {}, {{"class", "precision", "recall", "F1", "support"}}, {}};
  const auto add = [&](const std::string& name, const PrecisionRecall& r) {
    section.table.push_back({name, fmt::format("{:.4f}", r.precision), fmt::format("{:.4f}", r.recall), fmt::format("{:.4f}", r.f1), fmt::format("{}", r.support)});
  };
  for (const auto& [name, r] : classes.classes)
    if (section.table.size() <= kShownClasses) add(class_name(name), r);
  note_left_out(section.table, classes.classes.size());
  add("micro average", classes.micro);
  add("macro average", classes.macro);
  add("weighted average", classes.weighted);
  return section;
}

Section changed_rows_section(const std::string& heading, const Report& report, const std::vector<ChangedRow>& rows) {
  Section section{heading, {}, {{"row", "asked", "expected", report.models[0].name, report.models[1].name, "points"}}, {}, /*texts=*/true};
  for (const ChangedRow& r : rows) section.table.push_back({r.where, r.prompt, r.expected, r.first, r.second, fmt::format("{:.1f} → {:.1f}", r.first_points, r.second_points)});
  return section;
}

Section ratings_section(const ModelReport& model) {
  const RatingSummary& r = *model.ratings;
  Section section{"Human ratings of " + model.name, {fmt::format("{} answers, {} raters, 1 (worst) to 5 (best).", r.items, r.raters)},
                  {{"dimension", "ratings", "mean", "1 / 2 / 3 / 4 / 5", "α ordinal", "α interval", "Fleiss κ", "Cohen κ", "Cohen κ quadratic"}}, {}};
  std::vector<Bar> bars;
  for (size_t d = 0; d < kDimensions.size(); ++d) {
    const DimensionSummary& s = r.dimensions[d];
    section.table.push_back({kDimensions[d], fmt::format("{}", s.ratings), s.ratings ? fmt::format("{:.2f}", s.mean) : "–", fmt::format("{}", fmt::join(s.histogram, " / ")), optional_figure(s.alpha_ordinal),
                             optional_figure(s.alpha_interval), optional_figure(s.fleiss), optional_figure(s.cohen), optional_figure(s.cohen_quadratic)});
    if (s.ratings) bars.push_back({kDimensions[d], fmt::format("{:.2f} of 5", s.mean), {human_points(s.mean)}, {}});
  }
  section.picture = bar_chart("Mean ratings as points of 100", {model.name}, bars);
  return section;
}

Section correlation_section(const ModelReport& model) {
  const Correlation& c = *model.correlation;
  Section section{"Do the metrics agree with people about " + model.name + "?", {fmt::format("{} answers have both; 1 means full agreement, 0 none.", c.pairs.size())},
                  {{"Pearson", "Spearman", "Kendall τ-b"}, {optional_figure(c.pearson), optional_figure(c.spearman), optional_figure(c.kendall)}}, {}};
  section.picture = scatter_chart("Automatic points and mean rating", "automatic points", "mean rating", c.pairs, {0, 100}, {1, 5});
  return section;
}

Section preferences_section(const std::vector<PairwiseSummary>& pairs) {
  Section section{"Side by side", {"p: two-sided sign test without the ties."}, {{"models", "first better", "second better", "ties", "win rate of the second", "p", "Fleiss κ"}}, {}};
  for (const PairwiseSummary& s : pairs)
    section.table.push_back({fmt::format("{} : {}", s.first, s.second), fmt::format("{}", s.first_wins), fmt::format("{}", s.second_wins), fmt::format("{}", s.ties), fmt::format("{:.1f} %", 100 * s.win_rate), fmt::format("{:.4f}", s.p), optional_figure(s.fleiss)});
  return section;
}

Section harness_section(const HarnessResults& harness) {
  Section section{"lm-evaluation-harness" + (harness.model.empty() ? "" : ": " + harness.model), {}, {{"task", "metric", "filter", "shots", "value", "± standard error", "version"}}, {}};
  for (const HarnessResult& r : harness.results)
    section.table.push_back({r.task, r.metric, r.filter, r.shots ? fmt::format("{}", *r.shots) : "–", fmt::format("{:.4f}", r.value), r.standard_error ? fmt::format("{:.4f}", *r.standard_error) : "–", r.version});
  return section;
}

}  // namespace

std::vector<Section> report_sections(const Report& report) {
  std::vector<Section> sections;
  const auto add = [&](bool wanted, auto make) {
    if (wanted) sections.push_back(make());
  };
  const bool scored = std::any_of(report.models.begin(), report.models.end(), [](const ModelReport& m) { return m.one_score.has_value(); });
  add(!report.models.empty() && (!report.models[0].scores.empty() || !report.models[0].figures.empty()), [&] { return metrics_section(report); });
  add(!report.comparisons.empty(), [&] { return comparison_section(report); });
  add(scored, [&] { return one_score_section(report); });
  for (const ModelReport& m : report.models) add(m.one_score.has_value(), [&] { return parts_section(report, m); });
  add(!report.classes.empty(), [&] { return change_section(report); });
  for (const ModelReport& m : report.models) {
    add(m.labels.has_value(), [&] { return class_section("Classes: " + m.name, *m.labels); });
    add(m.entities.has_value(), [&] { return class_section("Entities: " + m.name, *m.entities); });
  }
  add(!report.gained.empty(), [&] { return changed_rows_section("Rows that gained most", report, report.gained); });
  add(!report.lost.empty(), [&] { return changed_rows_section("Rows that lost most", report, report.lost); });
  for (const ModelReport& m : report.models) {
    add(m.ratings.has_value(), [&] { return ratings_section(m); });
    add(m.correlation.has_value(), [&] { return correlation_section(m); });
  }
  add(!report.preferences.empty(), [&] { return preferences_section(report.preferences); });
  for (const HarnessResults& h : report.harness) add(true, [&] { return harness_section(h); });
  return sections;
}

}  // namespace hone::eval
