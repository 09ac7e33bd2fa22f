#include "data/quality/classes.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "data/quality/field.h"
#include "data/quality/row_text.h"

namespace hone::data {
namespace {

constexpr size_t kMostClasses = 10000;
constexpr int64_t kLookedAt = 20;  // rows read per example that is shown: instructions that repeat are not looked through to the end

}  // namespace

bool ClassRule::fits(std::string_view prompt) const {
  const std::string spaced = " " + std::string(prompt) + " ";
  // Words of Latin letters must stand alone; Chinese is written without spaces.
  const auto occurs = [&](const std::string& words) {
    const bool ascii = std::all_of(words.begin(), words.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    return ascii ? spaced.find(" " + words + " ") != std::string::npos : spaced.find(words) != std::string::npos;
  };
  if (std::any_of(none.begin(), none.end(), occurs)) return false;
  if (!std::all_of(all.begin(), all.end(), occurs)) return false;
  if (any.empty() && starts.empty()) return !all.empty();
  return std::any_of(any.begin(), any.end(), occurs) || std::any_of(starts.begin(), starts.end(), [&](const std::string& start) { return prompt.starts_with(start); });
}

RowClasses classes_by_field(const Rows& rows, const std::string& field, const std::function<bool()>& stop) {
  RowClasses classes{{}, std::vector<int32_t>(rows.size(), -1), fmt::format("the field {}", field), {}};
  // Values are kept as hashes and read again once they are known to be few: a field that is different in every row would fill the memory.
  std::vector<uint64_t> hashes(rows.size());
  rows.each([&](const ReadRow& row, size_t) {
    const auto value = field_of(row.json, row.example, field);
    if (!value) return;
    hashes[row.number] = row_hash(*value, 3);
    classes.of_row[row.number] = 0;
  }, stop);
  std::unordered_map<uint64_t, uint32_t> first;  // hash → the first row that has it
  for (uint32_t row = 0; row < rows.size(); ++row) {
    if (classes.of_row[row] < 0) continue;
    first.try_emplace(hashes[row], row);
    if (first.size() > kMostClasses)
      throw Error(ErrorCode::kInvalidInput, rows.files().front().report().path, fmt::format("the field {} has more than {} different values: it holds no classes", field, kMostClasses), "name a field with few values, or use rules or clusters");
  }
  if (first.empty())
    throw Error(ErrorCode::kInvalidInput, rows.files().front().report().path, fmt::format("no row has the field \"{}\"", field), "name a key of the rows (meta.topic for a nested one), or answer, or answer.KEY where answers are JSON");
  std::map<std::string, std::vector<uint64_t>> named;  // a file that changes meanwhile may give one value two hashes
  ReadRow read;
  for (const auto& [hash, row] : first) {
    rows.read(row, read);
    named[field_of(read.json, read.example, field).value_or("")].push_back(hash);
  }
  std::unordered_map<uint64_t, int32_t> number;
  for (const auto& [value, known] : named) {
    for (const uint64_t hash : known) number[hash] = static_cast<int32_t>(classes.names.size());
    classes.names.push_back(value);
  }
  for (uint32_t row = 0; row < rows.size(); ++row)
    if (int32_t& c = classes.of_row[row]; c >= 0) c = number.at(hashes[row]);
  return classes;
}

RowClasses classes_by_rules(const Rows& rows, const std::vector<ClassRule>& rules, const std::function<bool()>& stop) {
  RowClasses classes{{}, std::vector<int32_t>(rows.size(), -1), fmt::format("{} rules", rules.size()), {}};
  std::vector<int32_t> class_of_rule;
  for (const ClassRule& rule : rules) {  // several rules may give one class
    const auto known = std::find(classes.names.begin(), classes.names.end(), rule.name);
    class_of_rule.push_back(static_cast<int32_t>(known - classes.names.begin()));
    if (known == classes.names.end()) classes.names.push_back(rule.name);
  }
  rows.each([&](const ReadRow& row, size_t) {
    const RowText text = text_of(row.example);
    const std::string prompt = normalized(std::string_view(text.first_prompt).substr(0, kInstructionBytes));
    for (size_t i = 0; i < rules.size() && classes.of_row[row.number] < 0; ++i)
      if (rules[i].fits(prompt)) classes.of_row[row.number] = class_of_rule[i];
  }, stop);
  return classes;
}

ClassReport report_of(const Rows& rows, const RowClasses& classes, double band_low, double band_high, int64_t min_rows, int64_t wanted, int64_t examples) {
  ClassReport report;
  report.how = classes.how, report.wanted = wanted, report.band_low = band_low, report.band_high = band_high;
  report.classes.resize(classes.names.size());
  for (size_t i = 0; i < classes.names.size(); ++i) report.classes[i].name = classes.names[i];
  ReadRow read;
  int64_t classified = 0;
  std::vector<int64_t> looked_at(classes.names.size());
  const auto show = [&](uint32_t row, size_t c) {
    ClassRow& entry = report.classes[c];
    if (static_cast<int64_t>(entry.examples.size()) >= examples || looked_at[c]++ >= kLookedAt * examples) return;
    rows.read(row, read);
    std::string words = excerpt(text_of(read.example).first_prompt, 80);
    if (std::find(entry.examples.begin(), entry.examples.end(), words) == entry.examples.end()) entry.examples.push_back(std::move(words));
  };
  for (size_t c = 0; c < classes.typical.size(); ++c)
    for (const uint32_t row : classes.typical[c]) show(row, c);
  for (uint32_t row = 0; row < rows.size(); ++row) {
    const int32_t c = classes.of_row[row];
    if (c < 0) {
      report.unclassified += rows.usable(row);
      continue;
    }
    ++report.classes[static_cast<size_t>(c)].rows, ++classified;
    show(row, static_cast<size_t>(c));
  }
  int64_t covered_rows = 0;
  for (ClassRow& entry : report.classes) {
    entry.covered = entry.rows >= min_rows;
    report.covered += entry.covered;
    covered_rows += entry.covered ? entry.rows : 0;
  }
  for (ClassRow& entry : report.classes) {
    entry.share = classified > 0 ? static_cast<double>(entry.rows) / static_cast<double>(classified) : 0;
    entry.ratio = report.covered > 0 && covered_rows > 0 ? static_cast<double>(entry.rows * report.covered) / static_cast<double>(covered_rows) : 0;
    entry.in_band = entry.covered && entry.ratio >= band_low && entry.ratio <= band_high;
    report.in_band += entry.in_band;
  }
  std::stable_sort(report.classes.begin(), report.classes.end(), [](const ClassRow& a, const ClassRow& b) { return a.rows > b.rows; });
  return report;
}

}  // namespace hone::data
