// Reading requests: JSON of bounded depth, and the kinds of field that only requests have.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fields.h"
#include "text/chat_template.h"

namespace hone::serve {

using Json = text::Json;

/// Parses a request's body; nesting at most 64. Throws Error{kInvalidInput} with where "body".
Json parse_body(std::string_view body);

using hone::dump;
using Fields = JsonFields;

/// dump(), with U+0085, U+2028 and U+2029 escaped: for a stream of lines, which some clients cut wherever Unicode ends a line.
std::string dump_line(const Json& json);

/// The token ids of a JSON list, at most 2²⁰; `name` is the field that holds it (or lists of it). Throws Error{kInvalidInput}.
std::vector<int32_t> token_ids(const Fields& fields, const char* name, const Json& list);

/// "5m", "1h30m", "300ms", "-1"; a number counts seconds. Negative: for ever. Throws Error{kInvalidInput}. Seconds.
double parse_duration(const Json& value, const std::string& where);

}  // namespace hone::serve
