// The fields of untrusted JSON objects one by one, with their types and ranges checked.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

/// Objects keep the order of their keys: chat templates print tools and tool calls as they were written.
using OrderedJson = nlohmann::ordered_json;

/// Compact text; bytes that are not UTF-8 become U+FFFD.
std::string dump(const OrderedJson& json);

/// dump() of at most 60 bytes, for messages.
std::string excerpt_of(const OrderedJson& value);

/// The fields of one object. A field that is null counts as absent. Every reader throws Error{kInvalidInput} whose `where` is
/// the field's path ("options.temperature") when the type or the range is wrong.
class JsonFields {
 public:
  /// Throws Error{kInvalidInput} when `object` is not an object. `object` must outlive this.
  explicit JsonFields(const OrderedJson& object, std::string path = {});

  bool has(const char* name) const { return find(name) != nullptr; }
  const OrderedJson* find(const char* name) const;
  std::optional<bool> boolean(const char* name) const;
  std::optional<int64_t> integer(const char* name, int64_t low, int64_t high) const;
  std::optional<double> number(const char* name, double low, double high) const;
  std::optional<std::string> string(const char* name, size_t max_bytes = size_t{16} << 20) const;
  /// Of at most `max` items; null when absent.
  const OrderedJson* array(const char* name, size_t max) const;
  const OrderedJson* object(const char* name) const;
  /// A string, or a list of at most `max` strings; empty when absent.
  std::vector<std::string> strings(const char* name, size_t max) const;

  std::string path(const char* name) const;
  [[noreturn]] void refuse(const char* name, const std::string& expected) const;

 private:
  const OrderedJson& object_;
  std::string path_;
};

}  // namespace hone
