#include "eval/report.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "eval/charts.h"
#include "eval/report_tables.h"

namespace hone::eval {
namespace {

using nlohmann::ordered_json;

ordered_json or_null(const std::optional<double>& value) { return value ? ordered_json(*value) : ordered_json(nullptr); }

ordered_json classes_json(const ClassReport& report) {
  const auto one = [](const PrecisionRecall& r) { return ordered_json{{"precision", r.precision}, {"recall", r.recall}, {"f1", r.f1}, {"support", r.support}}; };
  ordered_json out = {{"micro", one(report.micro)}, {"macro", one(report.macro)}, {"weighted", one(report.weighted)}, {"classes", ordered_json::object()}};
  for (const auto& [name, r] : report.classes) out["classes"][name] = one(r);
  return out;
}

ordered_json score_json(const OneScore& score) {
  ordered_json out = {{"points", score.points}, {"automatic", or_null(score.automatic)}, {"human", or_null(score.human)}, {"note", score.note}, {"parts", ordered_json::array()}};
  for (const auto& p : score.parts) out["parts"].push_back({{"name", p.name}, {"value", p.value}, {"points", p.points}, {"share", p.share}});
  return out;
}

ordered_json ratings_json(const RatingSummary& r) {
  ordered_json out = {{"items", r.items}, {"raters", r.raters}};
  for (size_t d = 0; d < kDimensions.size(); ++d) {
    const DimensionSummary& s = r.dimensions[d];
    out[kDimensions[d]] = {{"ratings", s.ratings}, {"mean", s.ratings ? ordered_json(s.mean) : ordered_json(nullptr)}, {"histogram", s.histogram}, {"alpha_ordinal", or_null(s.alpha_ordinal)}, {"alpha_interval", or_null(s.alpha_interval)},
                           {"alpha_nominal", or_null(s.alpha_nominal)}, {"fleiss_kappa", or_null(s.fleiss)}, {"cohen_kappa", or_null(s.cohen)}, {"cohen_kappa_quadratic", or_null(s.cohen_quadratic)}};
  }
  return out;
}

ordered_json model_json(const ModelReport& m) {
  ordered_json out = {{"name", m.name}};
  for (const NamedValue& f : m.figures) out["figures"][f.name] = f.value;
  for (const MetricScore& s : m.scores) {
    ordered_json score = {{"value", s.value}, {"best", s.best}, {"setting", s.setting}};
    if (s.interval) score["interval"] = {s.interval->low, s.interval->high};
    out["scores"][s.name] = std::move(score);
  }
  if (m.one_score) {
    out["one_score"] = score_json(*m.one_score);
    out["one_score"]["people"] = m.people;
  }
  if (m.labels) out["labels"] = classes_json(*m.labels);
  if (m.entities) out["entities"] = classes_json(*m.entities);
  if (m.ratings) out["ratings"] = ratings_json(*m.ratings);
  if (m.correlation) out["correlation"] = {{"items", m.correlation->pairs.size()}, {"pearson", or_null(m.correlation->pearson)}, {"spearman", or_null(m.correlation->spearman)}, {"kendall_tau_b", or_null(m.correlation->kendall)}};
  return out;
}

ordered_json rows_json(const std::vector<ChangedRow>& rows) {
  ordered_json out = ordered_json::array();
  for (const ChangedRow& r : rows)
    out.push_back({{"where", r.where}, {"prompt", r.prompt}, {"expected", r.expected}, {"first", r.first}, {"second", r.second}, {"first_points", r.first_points}, {"second_points", r.second_points}});
  return out;
}

// What a score is called, and its value as people read it: of 100, or in per cent of 1.
std::string headline(const MetricScore& first, const MetricScore* second) {
  static const std::map<std::string_view, const char*> kNames = {{"bleu", "BLEU"}, {"chrf", "chrF"}, {"chrf++", "chrF++"}, {"rouge_l", "ROUGE-L"}, {"exact_match", "exact match"}, {"entity_f1", "entity F1"}};
  const auto found = kNames.find(first.name);
  const auto figure = [](const MetricScore& s) { return fmt::format("{:.1f}", s.best > 1 ? s.value : 100 * s.value); };
  return fmt::format("{} {}{}{}", found == kNames.end() ? first.name : found->second, figure(first), second ? " → " + figure(*second) : "", first.best > 1 ? "" : " %");
}

const MetricScore* score_called(const ModelReport& model, std::string_view name) {
  const auto it = std::find_if(model.scores.begin(), model.scores.end(), [&](const MetricScore& s) { return s.name == name; });
  return it == model.scores.end() ? nullptr : &*it;
}

// The score that says most: of classes and entities their own, else the first one measured.
const MetricScore* chief_score(const ModelReport& model) {
  for (const char* name : {"accuracy", "entity_f1"})
    if (const MetricScore* score = score_called(model, name)) return score;
  return model.scores.empty() ? nullptr : &model.scores.front();
}

const double* figure_called(const ModelReport& model, std::string_view name) {
  const auto it = std::find_if(model.figures.begin(), model.figures.end(), [&](const NamedValue& v) { return v.name == name; });
  return it == model.figures.end() ? nullptr : &it->value;
}

std::string markdown_cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += "\\|";
    else if (c == '\n') out += "<br>";
    else if (c == '<') out += "&lt;";
    else if (c == '&') out += "&amp;";
    else if (c != '\r') out += c;
  }
  return out;
}

}  // namespace

std::string summary(const Report& report) {
  if (report.models.empty()) return {};
  const bool two = report.models.size() > 1;
  const ModelReport &first = report.models.front(), &last = report.models.back();
  std::vector<std::string> parts;
  const double *loss = figure_called(first, "loss"), *loss_after = figure_called(last, "loss");
  if (loss && loss_after) parts.push_back(two ? fmt::format("loss {:.2f} → {:.2f}", *loss, *loss_after) : fmt::format("loss {:.2f}", *loss));
  if (const MetricScore* score = chief_score(first)) parts.push_back(headline(*score, two ? score_called(last, score->name) : nullptr));
  const RowChanges& c = report.changes;
  if (two && c.compared > 0) parts.push_back(c.better + c.worse == 0 ? "no row better or worse" : fmt::format("better on {} of {} rows{}", c.better, c.compared, c.worse ? fmt::format(", worse on {}", c.worse) : ""));
  if (parts.empty()) return {};
  return fmt::format("{}{}: {}", last.name, two ? " against " + first.name : "", fmt::join(parts, ", "));
}

ordered_json report_json(const Report& report) {
  ordered_json out = {{"title", report.title}, {"summary", summary(report)}, {"rows", report.rows}};
  for (const auto& [name, value] : report.settings) out["settings"][name] = value;
  out["weights"] = {{"automatic", report.weights.automatic}, {"human", report.weights.human}, {"dimensions", report.weights.dimensions}};
  for (const auto& [name, w] : report.weights.metrics) out["weights"]["metrics"][name] = {{"weight", w.weight}, {"worst", w.worst}, {"best", w.best}};
  out["models"] = ordered_json::array();
  for (const ModelReport& m : report.models) out["models"].push_back(model_json(m));
  for (const ScoreComparison& c : report.comparisons)
    out["comparison"][c.name] = {{"first", c.first}, {"second", c.second}, {"difference", c.test.difference}, {"interval", {c.test.interval.low, c.test.interval.high}}, {"p", c.test.p}};
  for (const auto& [name, c] : report.classes)
    out["classes"][name] = {{"rows", c.rows}, {"first_right", c.first_right}, {"second_right", c.second_right}, {"gained", c.gained}, {"lost", c.lost}};
  if (!report.gained.empty()) out["gained"] = rows_json(report.gained);
  if (!report.lost.empty()) out["lost"] = rows_json(report.lost);
  for (const PairwiseSummary& s : report.preferences)
    out["preferences"].push_back({{"first", s.first}, {"second", s.second}, {"first_wins", s.first_wins}, {"second_wins", s.second_wins}, {"ties", s.ties}, {"win_rate", s.win_rate}, {"p", s.p}, {"fleiss_kappa", or_null(s.fleiss)}});
  for (const HarnessResults& h : report.harness) {
    ordered_json results = ordered_json::array();
    for (const HarnessResult& r : h.results)
      results.push_back({{"task", r.task}, {"metric", r.metric}, {"filter", r.filter}, {"value", r.value}, {"standard_error", or_null(r.standard_error)}, {"shots", r.shots ? ordered_json(*r.shots) : ordered_json(nullptr)}, {"version", r.version}});
    out["lm_evaluation_harness"].push_back({{"model", h.model}, {"results", std::move(results)}});
  }
  return out;
}

std::string report_markdown(const Report& report) {
  std::string out = "# " + markdown_cell(report.title) + "\n\n";
  if (const std::string result = summary(report); !result.empty()) out += "**" + markdown_cell(result) + ".**\n\n";
  if (report.rows) out += fmt::format("{} rows.\n\n", report.rows);
  for (const Section& section : report_sections(report)) {
    out += "## " + markdown_cell(section.heading) + "\n\n";
    for (const std::string& sentence : section.sentences) out += sentence + "\n\n";
    for (size_t r = 0; r < section.table.size(); ++r) {
      for (const std::string& cell : section.table[r]) out += "| " + markdown_cell(cell) + " ";
      out += "|\n";
      if (r > 0) continue;
      for (size_t c = 0; c < section.table[r].size(); ++c) out += "|---";
      out += "|\n";
    }
    out += "\n";
  }
  if (!report.settings.empty()) out += "## Settings\n\n";
  for (const auto& [name, value] : report.settings) out += fmt::format("- {}: {}\n", name, markdown_cell(value));
  return out;
}

std::string report_html(const Report& report) {
  std::string out = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>" + escape_html(report.title) + "</title>\n<style>\n"
                    "body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:960px;margin:2em auto;padding:0 1em}.wide{overflow-x:auto}table{border-collapse:collapse;margin:1em 0}"
                    "th,td{text-align:left;vertical-align:top;padding:.3em .8em .3em 0;border-bottom:1px solid #ddd;white-space:pre-wrap;overflow-wrap:break-word}th{color:#555;font-weight:600}"
                    "h1{overflow-wrap:anywhere}svg{max-width:100%;height:auto}p{color:#555}p.result{color:#222;font-size:1.2em;font-weight:600}h2{margin-top:2em}"
                    // A row's name and its points in a line, its texts beside each other in what is left.
                    "table.rows{table-layout:fixed;width:100%;min-width:46em}.rows td{overflow-wrap:anywhere}.rows th:first-child{width:11em}.rows th:last-child{width:7em}\n</style>\n</head>\n<body>\n<h1>" + escape_html(report.title) + "</h1>\n";
  if (const std::string result = summary(report); !result.empty()) out += "<p class=\"result\">" + escape_html(result) + ".</p>\n";
  if (report.rows) out += fmt::format("<p>{} rows.</p>\n", report.rows);
  for (const Section& section : report_sections(report)) {
    out += "<section>\n<h2>" + escape_html(section.heading) + "</h2>\n";
    for (const std::string& sentence : section.sentences) out += "<p>" + escape_html(sentence) + "</p>\n";
    out += section.picture;
    if (!section.table.empty()) out += fmt::format("<div class=\"wide\"><table{}>\n", section.texts ? " class=\"rows\"" : "");
    for (size_t r = 0; r < section.table.size(); ++r) {
      out += "<tr>";
      for (const std::string& cell : section.table[r]) out += fmt::format("<{0}>{1}</{0}>", r == 0 ? "th" : "td", escape_html(cell));
      out += "</tr>\n";
    }
    if (!section.table.empty()) out += "</table></div>\n";
    out += "</section>\n";
  }
  if (!report.settings.empty()) {
    out += "<section>\n<h2>Settings</h2>\n<table>\n";
    for (const auto& [name, value] : report.settings) out += "<tr><td>" + escape_html(name) + "</td><td>" + escape_html(value) + "</td></tr>\n";
    out += "</table>\n</section>\n";
  }
  return out + "</body>\n</html>\n";
}

std::map<std::string, double> report_figures(const Report& report) {
  std::map<std::string, double> out;
  for (size_t i = 0; i < report.models.size(); ++i) {
    const ModelReport& m = report.models[i];
    const std::string prefix = i + 1 < report.models.size() ? "first." : "";
    const auto add = [&](const std::string& name, double value) {
      if (std::isfinite(value)) out[prefix + name] = value;
    };
    for (const NamedValue& f : m.figures) add(f.name, f.value);
    for (const MetricScore& s : m.scores) add(s.name, s.value);
    if (m.one_score) add("one_score", m.one_score->points);
    if (m.correlation && m.correlation->spearman) add("spearman", *m.correlation->spearman);
  }
  for (const ScoreComparison& c : report.comparisons) out["p." + c.name] = c.test.p;
  for (const HarnessResults& h : report.harness)
    for (const HarnessResult& r : h.results) out[fmt::format("{}.{}{}{}", r.task, r.metric, r.filter.empty() || r.filter == "none" ? "" : ".", r.filter == "none" ? "" : r.filter)] = r.value;
  return out;
}

}  // namespace hone::eval
