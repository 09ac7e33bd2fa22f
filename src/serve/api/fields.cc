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

std::string shown(const Json& value) {
  std::string text = dump(value);
  if (text.size() > 60) {
    size_t end = 57;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text = text.substr(0, end) + "...";
  }
  return text;
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

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Fields::Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object.is_object())
    throw Error(ErrorCode::kInvalidInput, path_.empty() ? "body" : path_, fmt::format("expected an object, found {}", shown(object)));
}

std::string Fields::path(const char* name) const { return path_.empty() ? name : path_ + "." + name; }

void Fields::refuse(const char* name, const std::string& expected) const {
  throw Error(ErrorCode::kInvalidInput, path(name), fmt::format("expected {}, found {}", expected, shown(object_.at(name))));
}

const Json* Fields::find(const char* name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::optional<bool> Fields::boolean(const char* name) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) refuse(name, "true or false");
  return value->get<bool>();
}

std::optional<int64_t> Fields::integer(const char* name, int64_t low, int64_t high) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  const std::string expected = fmt::format("a whole number from {} to {}", low, high);
  if (value->is_number_unsigned()) {
    const auto found = value->get<uint64_t>();
    if (found > static_cast<uint64_t>(std::max<int64_t>(high, 0)) || (low > 0 && found < static_cast<uint64_t>(low))) refuse(name, expected);
    return static_cast<int64_t>(found);
  }
  if (value->is_number_integer()) {
    const auto found = value->get<int64_t>();
    if (found < low || found > high) refuse(name, expected);
    return found;
  }
  if (value->is_number_float()) {  // some clients write 5.0
    const double found = value->get<double>();
    if (found != std::floor(found) || !(found >= static_cast<double>(low)) || !(found <= static_cast<double>(high)) || std::abs(found) > 9e15) refuse(name, expected);
    return static_cast<int64_t>(found);
  }
  refuse(name, expected);
}

std::optional<double> Fields::number(const char* name, double low, double high) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  const double found = value->is_number() ? value->get<double>() : std::nan("");
  if (!(found >= low && found <= high)) refuse(name, fmt::format("a number from {} to {}", low, high));
  return found;
}

std::optional<std::string> Fields::string(const char* name, size_t max_bytes) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) refuse(name, "a string");
  if (value->get_ref<const std::string&>().size() > max_bytes) refuse(name, fmt::format("at most {} bytes", max_bytes));
  return value->get<std::string>();
}

const Json* Fields::array(const char* name, size_t max) const {
  const Json* value = find(name);
  if (!value) return nullptr;
  if (!value->is_array()) refuse(name, "a list");
  if (value->size() > max) refuse(name, fmt::format("a list of at most {} items", max));
  return value;
}

const Json* Fields::object(const char* name) const {
  const Json* value = find(name);
  if (value && !value->is_object()) refuse(name, "an object");
  return value;
}

std::vector<std::string> Fields::strings(const char* name, size_t max) const {
  const Json* value = find(name);
  if (!value) return {};
  if (value->is_string()) return {value->get<std::string>()};
  std::vector<std::string> list;
  for (const Json& item : *array(name, max)) {
    if (!item.is_string()) refuse(name, "a string or a list of strings");
    list.push_back(item.get<std::string>());
  }
  return list;
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
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("expected a duration such as \"5m\" or a number of seconds, found {}", shown(value)));
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
