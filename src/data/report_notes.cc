#include "data/report_notes.h"

#include <fmt/format.h>

#include <algorithm>

namespace hone::data {

std::vector<std::string> notes_of(const DatasetReport& report, size_t reasons) {
  std::vector<std::string> notes;
  const ProblemTally& problems = report.problems;
  if (problems.total() > 0) notes.push_back(fmt::format("{}: left out {}", report.path, problems.summary()));
  for (size_t i = 0; i < std::min(reasons, problems.first.size()); ++i) notes.push_back(problems.first[i].text());
  if (reasons > 0 && problems.total() > static_cast<int64_t>(std::min(reasons, problems.first.size())))
    notes.push_back(fmt::format("{}: … and {} rows more", report.path, problems.total() - static_cast<int64_t>(std::min(reasons, problems.first.size()))));
  const auto turns = [&](int64_t rows, const char* what, std::string_view done, const char* setting) {
    if (rows > 0) notes.push_back(fmt::format("{}: in {} rows {}: {} ({})", report.path, rows, what, done, setting));
  };
  const bool trim_first = report.turns.leading_assistant == EdgeTurns::kTrim, trim_last = report.turns.trailing_turns == EdgeTurns::kTrim;
  turns(report.leading_assistant, "the assistant speaks before any user", trim_first ? "cut off" : "kept, and learned", "data.leading_assistant");
  turns(report.trailing_turns, "turns follow the last answer", trim_last ? "cut off" : "kept", "data.trailing_turns");
  turns(report.repeated_turns, "two turns of one role follow one another", report.turns.repeated_turns == RepeatedTurns::kMerge ? "merged" : "kept", "data.repeated_turns");
  if (!report.unknown_fields.empty()) {
    std::string fields;
    for (const auto& [field, rows] : report.unknown_fields) fields += fmt::format("{}{} ({} rows)", fields.empty() ? "" : ", ", field.substr(0, 60), rows);
    notes.push_back(fmt::format("{}: fields that are not read: {}", report.path, fields));
  }
  return notes;
}

}  // namespace hone::data
