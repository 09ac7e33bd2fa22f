// The words `pattern` and `format` of JSON Schema as languages.
#pragma once

#include "serve/schema/languages.h"

namespace hone::serve {

/// The texts in which an ECMAScript regular expression finds something, as the word `pattern` means it: literals, ., classes,
/// \d \w \s \D \W \S, \n \t \r \f \v \0, \xHH, \uHHHH, \u{H…}, |, groups (with or without names), * + ? {n} {n,} {n,m} (lazy ones
/// too: the texts are the same), ^ and $, look-aheads outside of repetitions. Letters are what they are in ECMAScript without
/// flags: \d is 0–9, \w is A–Z, a–z, 0–9 and _. At most 4,096 bytes.
/// Throws Error{kUnsupported} naming `where` for \b, \B, back references, look-behinds, \p{…}, flags; Error{kInvalidInput} for what
/// is no expression.
Languages::Term pattern_language(Languages& languages, std::string_view pattern, const std::string& where);

/// The texts of a format, framed; nullptr for formats that say nothing about a text's form (password, path, binary …).
/// Throws Error{kUnsupported} for those that hone does not know.
const char* format_pattern(std::string_view format, const std::string& where);

}  // namespace hone::serve
