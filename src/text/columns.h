// Text on a terminal: how many columns it takes, and how it fits into those that there are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone::text {

/// Columns that UTF-8 text takes on a terminal: wide characters (Chinese, emoji) two; combining characters, control characters and
/// the terminal's colour sequences none; each bad byte one.
int64_t columns(std::string_view text);

/// `text` in lines of at most `width` columns, broken at spaces and beside wide characters; lines after the first begin with `indent`
/// spaces. Line breaks of the text stay. A word (an address, a path) that fits into no line stays whole, for the terminal to break: so
/// it can still be copied. `width` 0: the text as it is.
std::string wrapped(std::string_view text, int64_t width, int64_t indent);

/// A part of a line that is left out when the line is too long: the highest `rank` first, of equals the last; rank 0 stays.
struct LineField {
  int rank = 0;
  std::string text;
};
/// The fields that fit into `width` columns, two spaces between them; what is of rank 0 is cut only where it must be. `width` 0: all.
std::string fitted(const std::vector<LineField>& fields, int64_t width);

}  // namespace hone::text
