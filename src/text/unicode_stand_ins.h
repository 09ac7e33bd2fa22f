// Characters newer than the Unicode tables of the regular-expression library.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hone::text {

/// The reference `tokenizers` matches with Unicode 16 tables; PCRE2 10.42 (Debian 12) has Unicode 14. A copy of `text` in which
/// every character of Unicode 15 and 16 is an older one of the same general category and the same length in bytes, so that
/// patterns find the same ranges; nothing when there is no such character. U+180E stops being white space, as it did in Unicode 6.3.
/// `text` must be well-formed UTF-8.
std::optional<std::string> with_stand_ins(std::string_view text);

}  // namespace hone::text
