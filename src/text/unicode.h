// UTF-8 and normalisation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

enum class Normalization { kNfc, kNfd, kNfkc, kNfkd };

/// A text after normalisation and where each byte came from: byte i stands for source bytes [begin[i], end[i]).
struct MappedText {
  std::string text;
  std::vector<int32_t> begin, end;

  static MappedText identity(std::string text);
};

/// Normalises, keeping the map. `input` must be well-formed UTF-8.
MappedText normalize(const MappedText& input, Normalization form);

}  // namespace hone::text
