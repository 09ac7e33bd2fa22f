#include "base/json_fields.h"

#include <cmath>

#include "base/error.h"

namespace hone {

std::string dump(const OrderedJson& json) { return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace); }

std::string excerpt_of(const OrderedJson& value) {
  std::string text = dump(value);
  if (text.size() > 60) {
    size_t end = 57;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text = text.substr(0, end) + "...";
  }
  return text;
}

JsonFields::JsonFields(const OrderedJson& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object.is_object())
    throw Error(ErrorCode::kInvalidInput, path_.empty() ? "body" : path_, fmt::format("expected an object, found {}", excerpt_of(object)));
}

std::string JsonFields::path(const char* name) const { return path_.empty() ? name : path_ + "." + name; }

void JsonFields::refuse(const char* name, const std::string& expected) const {
  throw Error(ErrorCode::kInvalidInput, path(name), fmt::format("expected {}, found {}", expected, excerpt_of(object_.at(name))));
}

const OrderedJson* JsonFields::find(const char* name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::optional<bool> JsonFields::boolean(const char* name) const {
  const OrderedJson* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) refuse(name, "true or false");
  return value->get<bool>();
}

std::optional<int64_t> JsonFields::integer(const char* name, int64_t low, int64_t high) const {
  const OrderedJson* value = find(name);
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

std::optional<double> JsonFields::number(const char* name, double low, double high) const {
  const OrderedJson* value = find(name);
  if (!value) return std::nullopt;
  const double found = value->is_number() ? value->get<double>() : std::nan("");
  if (!(found >= low && found <= high)) refuse(name, fmt::format("a number from {} to {}", low, high));
  return found;
}

std::optional<std::string> JsonFields::string(const char* name, size_t max_bytes) const {
  const OrderedJson* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) refuse(name, "a string");
  if (value->get_ref<const std::string&>().size() > max_bytes) refuse(name, fmt::format("at most {} bytes", max_bytes));
  return value->get<std::string>();
}

const OrderedJson* JsonFields::array(const char* name, size_t max) const {
  const OrderedJson* value = find(name);
  if (!value) return nullptr;
  if (!value->is_array()) refuse(name, "a list");
  if (value->size() > max) refuse(name, fmt::format("a list of at most {} items", max));
  return value;
}

const OrderedJson* JsonFields::object(const char* name) const {
  const OrderedJson* value = find(name);
  if (value && !value->is_object()) refuse(name, "an object");
  return value;
}

std::vector<std::string> JsonFields::strings(const char* name, size_t max) const {
  const OrderedJson* value = find(name);
  if (!value) return {};
  if (value->is_string()) return {value->get<std::string>()};
  std::vector<std::string> list;
  for (const OrderedJson& item : *array(name, max)) {
    if (!item.is_string()) refuse(name, "a string or a list of strings");
    list.push_back(item.get<std::string>());
  }
  return list;
}

}  // namespace hone
