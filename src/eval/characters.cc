#include "eval/characters.h"

#include <utf8proc.h>

#include "text/unicode.h"

namespace hone::eval {
namespace {

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }
bool within(char32_t c, utf8proc_category_t first, utf8proc_category_t last) {
  const utf8proc_category_t found = category(c);
  return found >= first && found <= last;
}

bool is_cased(char32_t c) { return within(c, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LT); }
bool is_case_ignorable(char32_t c) {
  const auto found = category(c);
  return found == UTF8PROC_CATEGORY_MN || found == UTF8PROC_CATEGORY_ME || found == UTF8PROC_CATEGORY_CF || found == UTF8PROC_CATEGORY_LM || found == UTF8PROC_CATEGORY_SK ||
         c == '\'' || c == '.' || c == ':' || c == 0xB7 || c == 0x2019;
}

// Whether the capital sigma at `at` ends a word (Unicode's Final_Sigma): a cased letter before it, none after.
bool is_final_sigma(std::u32string_view text, size_t at) {
  size_t before = at, after = at + 1;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return before > 0 && is_cased(text[before - 1]) && (after == text.size() || !is_cased(text[after]));
}

}  // namespace

std::u32string code_points(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t n = text::utf8_length(text);
    out += n ? static_cast<char32_t>(text::utf8_code_point(text)) : U'\uFFFD';
    text.remove_prefix(n ? n : text::utf8_bad_length(text));
  }
  return out;
}

std::string to_utf8(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) text::append_utf8(out, c);
  return out;
}

bool is_space(char32_t c) { return (c >= 0x1C && c <= 0x1F) || text::is_white_space(c); }
bool is_number(char32_t c) { return within(c, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO); }
bool is_punctuation(char32_t c) { return within(c, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO); }
bool is_symbol(char32_t c) { return within(c, UTF8PROC_CATEGORY_SM, UTF8PROC_CATEGORY_SO); }
bool is_word_character(char32_t c) { return within(c, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_NO); }

bool is_han(char32_t c) {
  if (c < 0x3005) return false;
  return c == 0x3005 || c == 0x3007 || (c >= 0x3021 && c <= 0x3029) || (c >= 0x3038 && c <= 0x303B) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x2FA1F) || (c >= 0x30000 && c <= 0x323AF);
}

std::u32string lower(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == 0x130) out += U"i\u0307";
    else if (c == 0x3A3) out += is_final_sigma(text, i) ? U'\u03C2' : U'\u03C3';
    else out += c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  }
  return out;
}

std::vector<std::u32string> split(std::u32string_view text) {
  std::vector<std::u32string> words;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && !is_space(text[end])) ++end;
    if (end > i) words.emplace_back(text.substr(i, end - i));
    i = end + 1;
  }
  return words;
}

std::u32string_view right_trimmed(std::u32string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::u32string_view trimmed(std::u32string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return right_trimmed(text);
}

std::string trimmed_text(std::string_view text) { return to_utf8(trimmed(code_points(text))); }

}  // namespace hone::eval
