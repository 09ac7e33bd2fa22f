// Characters as the reference metric packages see them: code points, their classes, white space, lower case.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone::eval {

/// Code points of UTF-8 text; each maximal ill-formed part becomes U+FFFD.
std::u32string code_points(std::string_view text);
std::string to_utf8(std::u32string_view text);

/// White space as sacreBLEU and rouge-score split at it: Unicode's White_Space and the four information separators U+001C to U+001F.
bool is_space(char32_t c);
/// Unicode general categories N*, P*, S*, and L*, M* or N*.
bool is_number(char32_t c);
bool is_punctuation(char32_t c);
bool is_symbol(char32_t c);
bool is_word_character(char32_t c);
/// Ideographs of the blocks CJK Unified (with extensions), Compatibility, and the numerals and marks 々〇〡–〩〸–〻.
bool is_han(char32_t c);

/// Full lower case: İ becomes two characters, and a capital sigma at the end of a word its final form.
std::u32string lower(std::u32string_view text);
/// Maximal runs without white space.
std::vector<std::u32string> split(std::u32string_view text);
std::u32string_view trimmed(std::u32string_view text);
std::u32string_view right_trimmed(std::u32string_view text);
/// `text` without white space at both ends: what exact match compares.
std::string trimmed_text(std::string_view text);

}  // namespace hone::eval
