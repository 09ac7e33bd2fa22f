#include "data/row_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "data/csv.h"
#include "data/plain_json.h"

namespace hone::data {
namespace {

std::optional<RowIssue> check_utf8(std::string_view bytes) {
  const size_t good = valid_utf8(bytes);
  if (good == bytes.size()) return std::nullopt;
  return RowIssue{ProblemKind::kNotUtf8, fmt::format("byte 0x{:02x} at byte {} of the row is not UTF-8",
                                                     static_cast<unsigned char>(bytes[good]), good + 1)};
}

// The deepest nesting of brackets outside strings.
int64_t nesting(std::string_view bytes) {
  int64_t depth = 0, deepest = 0;
  bool in_string = false, escaped = false;
  for (const char c : bytes) {
    if (in_string) {
      if (escaped) {
        escaped = false;
      } else if (c == '\\') {
        escaped = true;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

std::optional<RowIssue> object_or_issue(const Json& row) {
  if (row.is_object()) return std::nullopt;
  return RowIssue{ProblemKind::kNotAnObject, fmt::format("the row must be an object, found {}", row.type_name())};
}

}  // namespace

size_t valid_utf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  size_t i = 0;
  while (i < text.size()) {
    uint64_t word = 0;
    if (text.size() - i >= sizeof(word)) {  // eight ASCII bytes at a time
      std::memcpy(&word, text.data() + i, sizeof(word));
      if ((word & 0x8080808080808080u) == 0) {
        i += sizeof(word);
        continue;
      }
    }
    const unsigned char lead = byte(i);
    if (lead < 0x80) {
      ++i;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
      if (!continues(i + 1)) return i;
      i += 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      if (!continues(i + 1) || !continues(i + 2)) return i;
      if (lead == 0xE0 && byte(i + 1) < 0xA0) return i;  // overlong
      if (lead == 0xED && byte(i + 1) > 0x9F) return i;  // surrogate
      i += 3;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      if (!continues(i + 1) || !continues(i + 2) || !continues(i + 3)) return i;
      if (lead == 0xF0 && byte(i + 1) < 0x90) return i;  // overlong
      if (lead == 0xF4 && byte(i + 1) > 0x8F) return i;  // above U+10FFFF
      i += 4;
    } else {
      return i;
    }
  }
  return text.size();
}

std::optional<RowIssue> parse_json_row(std::string_view bytes, int max_nesting, Json& row) {
  if (auto issue = check_utf8(bytes)) return issue;
  if (read_plain_json(bytes, max_nesting, row)) return object_or_issue(row);
  if (const int64_t depth = nesting(bytes); depth > max_nesting) {
    return RowIssue{ProblemKind::kTooDeep, fmt::format("nested {} deep, at most {} is accepted", depth, max_nesting)};
  }
  try {
    row = Json::parse(bytes.begin(), bytes.end());
  } catch (const Json::parse_error& error) {
    return RowIssue{ProblemKind::kBadJson, error.byte > bytes.size()
                                               ? std::string("the row ends in the middle of a JSON value")
                                               : fmt::format("not JSON at byte {} of the row", error.byte)};
  } catch (const Json::exception&) {
    return RowIssue{ProblemKind::kBadJson, "a number is out of range"};
  }
  return object_or_issue(row);
}

Json parse_json_text(std::string_view text) {
  if (nesting(text) > kMaxTextNesting) return Json(Json::value_t::discarded);
  return Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

std::optional<RowIssue> parse_csv_row(std::string_view record, char delimiter, const std::vector<std::string>& header,
                                      Json& row) {
  if (auto issue = check_utf8(record)) return issue;
  std::vector<std::string> fields;
  if (std::string wrong = split_csv(record, delimiter, fields); !wrong.empty()) {
    return RowIssue{ProblemKind::kBadCsv, std::move(wrong)};
  }
  // Fields that a record lacks are absent; empty ones behind the last column are what spreadsheets append.
  for (size_t i = header.size(); i < fields.size(); ++i) {
    if (fields[i].empty()) continue;
    return RowIssue{ProblemKind::kBadCsv, fmt::format("{} fields, but the header names {} columns: a field that holds the delimiter is "
                                                      "written in quotes", fields.size(), header.size())};
  }
  row = Json::object();
  for (size_t i = 0; i < std::min(fields.size(), header.size()); ++i) {
    if (!header[i].empty()) row[header[i]] = std::move(fields[i]);
  }
  return std::nullopt;
}

}  // namespace hone::data
