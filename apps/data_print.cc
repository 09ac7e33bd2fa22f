#include "apps/data_print.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/quality/row_text.h"
#include "data/report_notes.h"

namespace hone::apps {
namespace {

using data::Measure;

double percent(int64_t part, int64_t of) { return of > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(of) : 0; }

std::string bar(double share) { return std::string(static_cast<size_t>(std::clamp(share * 40 + 0.5, 0.0, 40.0)), '#'); }

}  // namespace

std::string dumped(const nlohmann::ordered_json& json) { return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace); }

void print_lengths(const data::Lengths& l, const char* unit) {
  if (l.rows == 0) return;
  fmt::print("{}: {} in all; per row {} to {}, median {}, 90 % up to {}, 99 % up to {}\n", unit, l.total, l.least, l.most, l.median, l.p90, l.p99);
  for (size_t bin = 0; bin < l.histogram.size(); ++bin) {
    if (l.histogram[bin] == 0) continue;
    const int64_t high = int64_t{1} << bin, low = bin == 0 ? 0 : high / 2 + 1;
    fmt::print("  {:>9}–{:<9} {:>9} {:5.1f} %  {}\n", low, high, l.histogram[bin], percent(l.histogram[bin], l.rows), bar(static_cast<double>(l.histogram[bin]) / static_cast<double>(l.rows)));
  }
}

void print_classes(const data::ClassReport& report, const char* what) {
  fmt::print("\n{} by {}: {} covered of {} wanted; {} of them between {} and {} times the mean; {} rows without one\n", what, report.how, report.covered, report.wanted, report.in_band, report.band_low,
             report.band_high, report.unclassified);
  size_t shown = 0;
  for (const auto& entry : report.classes) {
    if (++shown > 60) {
      fmt::print("  … and {} more (--json lists all)\n", report.classes.size() - 60);
      break;
    }
    const char* verdict = !entry.covered ? "missing" : entry.in_band ? "" : entry.ratio < report.band_low ? "too few" : "too many";
    fmt::print("  {:>8} {:5.1f} %  1:{:<5.2f} {:<8} {}\n", entry.rows, 100 * entry.share, entry.ratio, verdict, data::excerpt(entry.name, 60));
    for (const auto& example : entry.examples) fmt::print("             · {}\n", example);
  }
}

void print_check(const data::CheckReport& r) {
  for (const auto& file : r.files) {
    fmt::print("{} ({}, {}): {} rows{}\n", file.path, data::name(file.container), data::name(file.format), file.rows, file.validation_rows > 0 ? " held out" : "");
    for (const auto& note : data::notes_of(file, /*reasons=*/0)) fmt::print("  {}\n", note);
  }
  fmt::print("\n");
  for (const auto& m : r.measures) {
    if (!m.looked) {
      fmt::print("  –    {:<16} not looked at: {}\n", data::name(m.measure), m.measure == Measure::kLeakage ? "no --held-out file" : "no --model");
      continue;
    }
    fmt::print("  {}  {:<16} {:>8} of {} ({:.2f} %), {}\n", m.broken() ? "BAD" : " ok", data::name(m.measure), m.rows, m.of, percent(m.rows, m.of),
               m.allowed ? fmt::format("at most {} may be", *m.allowed) : "no limit");
    for (const auto& finding : m.examples) fmt::print("         {}: {}\n", finding.where, finding.text);
  }
  for (int kind = 0; kind < data::kPiiKinds; ++kind) {
    if (kind == 0) fmt::print("\nrows with hints of");
    fmt::print("{} {} {}", kind == 0 ? "" : ",", data::name(static_cast<data::PiiKind>(kind)), r.pii_rows[static_cast<size_t>(kind)]);
  }
  fmt::print("\nlanguages ");
  for (int i = 0; i < data::kLanguages; ++i)
    if (const int64_t n = r.languages[static_cast<size_t>(i)]; n > 0) fmt::print(" {} {} ({:.1f} %)", data::name(static_cast<data::Language>(i)), n, percent(n, r.characters.rows));
  fmt::print("\n");
  print_lengths(r.characters, "characters");
  if (r.tokens) {
    print_lengths(*r.tokens, "tokens");
    fmt::print("tokens learned: {}\n", r.supervised_tokens);
  }
  if (r.labels) print_classes(*r.labels, "labels");
  if (r.classes) print_classes(*r.classes, "classes");
  fmt::print("\n{}\n", r.broken.empty() ? "every limit is kept" : "limits broken:");
  for (const auto& sentence : r.broken) fmt::print("  {}\n", sentence);
}

nlohmann::ordered_json lengths_json(const data::Lengths& l) {
  nlohmann::ordered_json bins = nlohmann::ordered_json::array();
  for (size_t bin = 0; bin < l.histogram.size(); ++bin) bins.push_back({{"to", int64_t{1} << bin}, {"rows", l.histogram[bin]}});
  return {{"rows", l.rows}, {"total", l.total}, {"least", l.least}, {"most", l.most}, {"median", l.median}, {"p90", l.p90}, {"p99", l.p99}, {"histogram", bins}};
}

nlohmann::ordered_json classes_json(const data::ClassReport& report) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto& c : report.classes)
    list.push_back({{"name", c.name}, {"rows", c.rows}, {"share", c.share}, {"ratio", c.ratio}, {"covered", c.covered}, {"in_band", c.in_band}, {"examples", c.examples}});
  return {{"by", report.how}, {"covered", report.covered}, {"wanted", report.wanted}, {"in_band", report.in_band}, {"band", {report.band_low, report.band_high}},
          {"unclassified", report.unclassified}, {"classes", list}};
}

nlohmann::ordered_json check_json(const data::CheckReport& r) {
  nlohmann::ordered_json json = {{"rows", r.rows}, {"held_out_rows", r.held_out_rows}};
  for (const auto& file : r.files) {
    nlohmann::ordered_json kinds = nlohmann::ordered_json::object();
    for (int i = 0; i < data::kProblemKinds; ++i)
      if (const auto n = file.problems.of(static_cast<data::ProblemKind>(i)); n > 0) kinds[std::string(data::name(static_cast<data::ProblemKind>(i)))] = n;
    json["files"].push_back({{"path", file.path}, {"container", data::name(file.container)}, {"format", data::name(file.format)}, {"rows", file.rows}, {"problems", kinds},
                             {"leading_assistant", file.leading_assistant}, {"trailing_turns", file.trailing_turns}, {"repeated_turns", file.repeated_turns}, {"unknown_fields", file.unknown_fields}});
  }
  for (const auto& m : r.measures) {
    nlohmann::ordered_json entry = {{"looked", m.looked}, {"rows", m.rows}, {"of", m.of}, {"allowed", m.allowed ? nlohmann::ordered_json(*m.allowed) : nullptr}, {"broken", m.broken()}};
    entry["examples"] = nlohmann::ordered_json::array();
    for (const auto& finding : m.examples) entry["examples"].push_back({{"where", finding.where}, {"text", finding.text}});
    json["measures"][std::string(data::name(m.measure))] = entry;
  }
  for (int i = 0; i < data::kPiiKinds; ++i) json["pii"][std::string(data::name(static_cast<data::PiiKind>(i)))] = r.pii_rows[static_cast<size_t>(i)];
  json["languages"] = nlohmann::ordered_json::object();
  for (int i = 0; i < data::kLanguages; ++i)
    if (const int64_t n = r.languages[static_cast<size_t>(i)]; n > 0) json["languages"][std::string(data::name(static_cast<data::Language>(i)))] = n;
  json["characters"] = lengths_json(r.characters);
  if (r.tokens) json["tokens"] = lengths_json(*r.tokens), json["supervised_tokens"] = r.supervised_tokens;
  if (r.labels) json["labels"] = classes_json(*r.labels);
  if (r.classes) json["classes"] = classes_json(*r.classes);
  json["broken"] = r.broken;
  return json;
}

}  // namespace hone::apps
