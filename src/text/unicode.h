// UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hone::text {

/// Length in bytes of the well-formed UTF-8 character at the start of `text`, or 0 when it is not well-formed.
size_t utf8_length(std::string_view text);
/// Length of the longest beginning of `text` that is not well-formed but could be the start of a character (at least 1).
size_t utf8_bad_length(std::string_view text);
/// Each maximal bad part replaced by U+FFFD.
std::string utf8_replace_bad(std::string_view text);
bool utf8_valid(std::string_view text);
/// Bytes at the end of `text` that begin a character which is not complete yet.
size_t utf8_incomplete_tail(std::string_view text);
/// The code point of the well-formed character at the start of `text`.
uint32_t utf8_code_point(std::string_view text);
void append_utf8(std::string& out, uint32_t code_point);
/// Unicode's White_Space property (what Rust's \s means).
bool is_white_space(uint32_t code_point);

}  // namespace hone::text
