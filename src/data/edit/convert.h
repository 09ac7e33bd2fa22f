// Rows of one format as rows of another.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/edit/row_writer.h"
#include "data/problem.h"

namespace hone::data {

/// A chat as the text that its template renders.
using ChatRenderer = std::function<std::string(const Json& messages, const Json& tools)>;

/// `example` as a row of the format `to` → `row`; `source` and `from` give the keys that belong to no format, which are kept. Returns an empty string, or why the target
/// cannot hold the row: nothing that a format cannot say is left out silently. `render` may be empty; chats then cannot become text.
std::string convert_row(const Example& example, const Json& source, const RowFormat& from, Format to, const ChatRenderer& render, Json& row);

struct ConvertReport {
  int64_t written = 0;
  std::vector<Problem> left_out;  // the first 20
  int64_t left_out_rows = 0;      // malformed and inconvertible
};

/// Writes every usable row of `rows` to `output` in the format `to`. Throws Error{kInvalidInput}, leaving no file, when more than `allowed` rows cannot be converted.
ConvertReport convert_rows(const Rows& rows, Format to, const ChatRenderer& render, BadRowLimit allowed, const std::string& output, const std::function<bool()>& stop);

}  // namespace hone::data
