#include "serve/api/fields.h"

#include <charconv>
#include <cmath>

#include "base/error.h"

namespace hone::serve {
namespace {

constexpr int kMaxDepth = 64;
constexpr size_t kMaxValues = size_t{2} << 20;

// Refuses text whose brackets nest too deeply, or which holds so many values that they would take far more memory than itself:
// found before the parser meets them.
void check_size(std::string_view text) {
  int depth = 0;
  size_t values = 0;
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (inside) {
      if (c == '\\') ++i;
      else if (c == '"') inside = false;
    } else if (c == '"') {
      inside = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) throw Error(ErrorCode::kInvalidInput, "body", fmt::format("the JSON nests deeper than {} levels", kMaxDepth));
    } else if (c == ']' || c == '}') {
      --depth;
    }
    if (!inside && (c == ',' || c == '[' || c == '{') && ++values > kMaxValues) throw Error(ErrorCode::kInvalidInput, "body", fmt::format("the JSON holds more than {} values", kMaxValues));
  }
}

}  // namespace

Json parse_body(std::string_view body) {
  check_size(body);
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) throw Error(ErrorCode::kInvalidInput, "body", "missing request body");
  try {
    Json json = Json::parse(body);
    if (!json.is_object()) throw Error(ErrorCode::kInvalidInput, "body", "expected a JSON object");
    return json;
  } catch (const Json::exception& error) {
    std::string what = error.what();
    if (const size_t at = what.find("] "); at != std::string::npos) what = what.substr(at + 2);
    throw Error(ErrorCode::kInvalidInput, "body", "malformed JSON: " + what);
  }
}

std::string dump_line(const Json& json) {
  std::string text = dump(json);
  // Such characters stand inside strings alone, where an escape means the same. The other line ends are below U+0020 and always escaped.
  for (const auto& [character, escape] : {std::pair{"\xC2\x85", "\\u0085"}, {"\xE2\x80\xA8", "\\u2028"}, {"\xE2\x80\xA9", "\\u2029"}})
    for (size_t at = text.find(character); at != std::string::npos; at = text.find(character, at + 6)) text.replace(at, std::string_view(character).size(), escape);
  return text;
}

std::vector<int32_t> token_ids(const Fields& fields, const char* name, const Json& list) {
  constexpr size_t kMaxIds = size_t{1} << 20;
  if (!list.is_array() || list.size() > kMaxIds) fields.refuse(name, fmt::format("a list of at most {} token ids", kMaxIds));
  std::vector<int32_t> ids;
  ids.reserve(list.size());
  for (const Json& id : list) {
    const bool good = id.is_number_unsigned() ? id.get<uint64_t>() <= INT32_MAX : id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() <= INT32_MAX;
    if (!good) fields.refuse(name, "token ids");
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

double parse_duration(const Json& value, const std::string& where) {
  const auto refuse = [&]() -> double {
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("expected a duration such as \"5m\" or a number of seconds, found {}", excerpt_of(value)));
  };
  constexpr double kLongest = 1e9;
  const auto bounded = [&](double seconds) { return seconds < 0 ? -1 : seconds <= kLongest ? seconds : -1; };
  if (value.is_number()) {
    const double seconds = value.get<double>();
    return std::isfinite(seconds) ? bounded(seconds) : refuse();
  }
  if (!value.is_string()) return refuse();
  std::string_view text = value.get_ref<const std::string&>();
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.size() > 64) return refuse();
  double total = 0;
  bool unit_seen = false;
  while (!text.empty()) {
    double amount = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount, std::chars_format::fixed);
    if (error != std::errc() || !(amount >= 0)) return refuse();
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    constexpr std::pair<std::string_view, double> kUnits[] = {{"ms", 1e-3}, {"us", 1e-6}, {"µs", 1e-6}, {"ns", 1e-9}, {"h", 3600}, {"m", 60}, {"s", 1}};
    double scale = 0;
    for (const auto& [unit, seconds] : kUnits)
      if (scale == 0 && text.starts_with(unit)) {
        scale = seconds;
        text.remove_prefix(unit.size());
      }
    if (scale == 0) {  // a plain number of seconds, and nothing beside it
      if (unit_seen || !text.empty()) return refuse();
      scale = 1;
    }
    unit_seen = true;
    total += amount * scale;
  }
  if (!std::isfinite(total)) return refuse();
  return negative && total > 0 ? -1 : bounded(total);
}

}  // namespace hone::serve
