// The words of a row, as the checks compare them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "data/format.h"

namespace hone::data {

/// What a row asks and what it answers. System turns are left out: they are the same in every row and would make all rows alike.
struct RowText {
  std::string prompt;  // user and tool turns, one per line; of plain text: empty
  std::string answer;  // assistant turns, one per line; of plain text: the text
  std::string last_answer, first_prompt;
};

RowText text_of(const Example& example);

/// Text as it is compared: ASCII letters in lower case, full-width letters and digits as ASCII, and every run of white space
/// and punctuation (ASCII, CJK and full-width) as one space; none at either end. `text` is valid UTF-8.
std::string normalized(std::string_view text);

/// At most `characters` characters of `text` on one line, an ellipsis behind what was cut.
std::string excerpt(std::string_view text, size_t characters);

}  // namespace hone::data
