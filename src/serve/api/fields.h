// Reading requests: JSON of bounded depth, and its fields one by one with their types and ranges checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"

namespace hone::serve {

using Json = text::Json;

/// Parses a request's body; nesting at most 64. Throws Error{kInvalidInput} with where "body".
Json parse_body(std::string_view body);

/// Compact text; bytes that are not UTF-8 become U+FFFD.
std::string dump(const Json& json);

/// The fields of one object. A field that is null counts as absent. Every reader throws Error{kInvalidInput} whose `where` is
/// the field's path ("options.temperature") when the type or the range is wrong.
class Fields {
 public:
  /// Throws Error{kInvalidInput} when `object` is not an object. `object` must outlive this.
  explicit Fields(const Json& object, std::string path = {});

  bool has(const char* name) const { return find(name) != nullptr; }
  const Json* find(const char* name) const;
  std::optional<bool> boolean(const char* name) const;
  std::optional<int64_t> integer(const char* name, int64_t low, int64_t high) const;
  std::optional<double> number(const char* name, double low, double high) const;
  std::optional<std::string> string(const char* name, size_t max_bytes = size_t{16} << 20) const;
  /// Of at most `max` items; null when absent.
  const Json* array(const char* name, size_t max) const;
  const Json* object(const char* name) const;
  /// A string, or a list of at most `max` strings; empty when absent.
  std::vector<std::string> strings(const char* name, size_t max) const;

  std::string path(const char* name) const;
  [[noreturn]] void refuse(const char* name, const std::string& expected) const;

 private:
  const Json& object_;
  std::string path_;
};

/// The token ids of a JSON list, at most 2²⁰; `name` is the field that holds it (or lists of it). Throws Error{kInvalidInput}.
std::vector<int32_t> token_ids(const Fields& fields, const char* name, const Json& list);

/// "5m", "1h30m", "300ms", "-1"; a number counts seconds. Negative: for ever. Throws Error{kInvalidInput}. Seconds.
double parse_duration(const Json& value, const std::string& where);

}  // namespace hone::serve
