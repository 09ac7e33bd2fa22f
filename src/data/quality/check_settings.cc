#include "data/quality/check_settings.h"

#include <charconv>
#include <cmath>

#include "base/error.h"

namespace hone::data {
namespace {

struct MeasureRow {
  std::string_view name, meaning, limit;
};

constexpr std::array<MeasureRow, kMeasures> kRows = {{
    {"malformed", "rows that cannot be used (docs/data.md lists the kinds)", "1%"},
    {"empty", "of those, rows with an empty prompt, answer or text", "1%"},
    {"encoding", "rows with traces of a wrong character set", "1%"},
    {"duplicates", "rows that repeat an earlier one but for case, spaces and punctuation", "5%"},
    {"near_duplicates", "rows nearly like an earlier one (similarity), repeated ones not counted", "20%"},
    {"conflicting", "rows that ask what an earlier row asks and answer otherwise", "5%"},
    {"leakage", "held-out rows whose prompt is, or nearly is, one of the rows to train on", "0"},
    {"too_long", "rows with more tokens than cutoff_length", "5%"},
    {"template", "rows that the chat template refuses or in which it marks nothing to learn", "1%"},
    {"pii", "rows with hints of personal data (e-mail, phone, resident id, bank card, IP address)", "off"},
    {"secrets", "rows with what looks like an API key, a private key or a password", "0"},
}};

double number_of(std::string_view value, double low, double high, const std::string& where) {
  double number = 0;
  const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (problem != std::errc() || end != value.data() + value.size() || !(number >= low && number <= high))
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("expected a number from {} to {}, found \"{}\"", low, high, value), "hone data check --list-settings shows every setting");
  return number;
}

std::optional<int64_t> count_of(std::string_view value, const std::string& where) {
  if (value == "off") return std::nullopt;
  const double number = number_of(value, 0, 1e9, where);
  if (number != std::floor(number)) throw Error(ErrorCode::kInvalidInput, where, fmt::format("expected a whole number, found \"{}\"", value), "write a number of classes, or off");
  return static_cast<int64_t>(number);
}

std::optional<BadRowLimit> limit_of(std::string_view value, const std::string& where) {
  if (value == "off") return std::nullopt;
  return parse_bad_row_limit(value, where);
}

}  // namespace

std::string_view name(Measure measure) { return kRows[static_cast<size_t>(measure)].name; }
std::string_view meaning(Measure measure) { return kRows[static_cast<size_t>(measure)].meaning; }

CheckSettings::CheckSettings() {
  for (size_t i = 0; i < limits.size(); ++i) limits[i] = limit_of(kRows[i].limit, std::string(kRows[i].name));
}

std::vector<CheckKey> check_keys() {
  std::vector<CheckKey> keys = {
      {"similarity", "0.8", "Jaccard similarity from which rows count as near-duplicates"},
      {"cutoff_length", "2048", "tokens from which a row is too long"},
      {"label", "", "the field whose values are counted (answer.level: a key of the answer's JSON)"},
      {"band_low", "0.8", "a class's rows over the mean of all classes: at least"},
      {"band_high", "1.2", "a class's rows over the mean of all classes: at most"},
      {"min_class_rows", "1", "rows from which a class counts as covered"},
      {"examples", "3", "examples shown of each kind"},
      {"limits.unbalanced", "off", "so many classes may lie outside the band"},
      {"limits.classes", "off", "at least so many classes must be covered"},
  };
  for (const MeasureRow& row : kRows) keys.push_back({fmt::format("limits.{}", row.name), std::string(row.limit), std::string(row.meaning)});
  return keys;
}

void set_check_value(CheckSettings& settings, std::string_view key, std::string_view value, const std::string& where) {
  const std::string at = fmt::format("{}: {}", where, key);
  if (key == "similarity") return void(settings.similarity = number_of(value, 0.5, 1, at));
  if (key == "cutoff_length") return void(settings.cutoff_length = static_cast<int64_t>(number_of(value, 2, 1 << 24, at)));
  if (key == "label") return void(settings.label = value);
  if (key == "band_low") return void(settings.band_low = number_of(value, 0, 1, at));
  if (key == "band_high") return void(settings.band_high = number_of(value, 1, 1e6, at));
  if (key == "min_class_rows") return void(settings.min_class_rows = static_cast<int64_t>(number_of(value, 1, 1e9, at)));
  if (key == "examples") return void(settings.examples = static_cast<int64_t>(number_of(value, 0, 20, at)));
  if (key == "limits.unbalanced") return void(settings.unbalanced = count_of(value, at));
  if (key == "limits.classes") return void(settings.wanted = count_of(value, at));
  for (size_t i = 0; i < kRows.size(); ++i)
    if (key == fmt::format("limits.{}", kRows[i].name)) return void(settings.limits[i] = limit_of(value, at));
  std::vector<std::string> known;
  for (const CheckKey& known_key : check_keys()) known.push_back(known_key.key);
  std::string close = nearest(key, known);
  if (close.empty()) close = nearest("limits." + std::string(key), known);
  throw Error(ErrorCode::kInvalidInput, where, fmt::format("unknown setting \"{}\"", key), close.empty() ? "hone data check --list-settings shows every setting" : fmt::format("did you mean \"{}\"?", close));
}

}  // namespace hone::data
