// From a row's untrusted bytes to a JSON object.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/problem.h"

namespace hone::data {

/// Keys keep their order: chat templates print tool definitions as they were written.
using Json = nlohmann::ordered_json;

/// What is wrong with a row, before it has a place.
struct RowIssue {
  ProblemKind kind{};
  std::string message;
};

/// The number of bytes before the first one that is not part of valid UTF-8 (no overlong forms, no surrogates, nothing
/// above U+10FFFF); text.size() when all are.
size_t valid_utf8(std::string_view text);

/// Parses one JSON object. Checks UTF-8 and the nesting before the parser sees the bytes.
std::optional<RowIssue> parse_json_row(std::string_view bytes, int max_nesting, Json& row);

/// The JSON value that a text inside a row is; discarded (see is_discarded) when it is none, or nested deeper than kMaxTextNesting.
Json parse_json_text(std::string_view text);
inline constexpr int kMaxTextNesting = 64;

/// Parses one CSV record into an object of strings, keyed by `header`; columns with an empty name and fields that a short
/// record lacks are left out.
std::optional<RowIssue> parse_csv_row(std::string_view record, char delimiter, const std::vector<std::string>& header,
                                      Json& row);

}  // namespace hone::data
