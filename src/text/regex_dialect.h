// tokenizer.json's expressions are written for Oniguruma (Ruby syntax); hone matches with PCRE2.
#pragma once

#include <string>
#include <string_view>

namespace hone::text {

/// The PCRE2 pattern (to be compiled with PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE) that matches what `regex` matches in
/// Oniguruma. Throws Error{kUnsupported} naming `where` for constructs that have no equal: nested and intersected character
/// classes, \W inside a class, absence operators, POSIX classes beyond alpha, digit, alnum, space, xdigit.
std::string pcre_of_oniguruma(std::string_view regex, const std::string& where);

}  // namespace hone::text
