// Case mapping as Python's str does it: utf8proc's one-to-one mappings, the one-to-many ones of Unicode's
// SpecialCasing.txt, and the final sigma.
#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "text/jinja_text.h"

namespace hone::text::jinja {
namespace {

struct SpecialCase {
  char32_t value;
  const char* upper;
  const char* title;
};

// Every character whose upper case has more than one character (SpecialCasing.txt, the unconditional part), sorted.
// clang-format off
constexpr SpecialCase kSpecialCases[] = {
    {0x00DF, "SS", "Ss"}, {0x0149, "\u02BCN", "\u02BCN"}, {0x01F0, "J\u030C", "J\u030C"},
    {0x0390, "\u0399\u0308\u0301", "\u0399\u0308\u0301"}, {0x03B0, "\u03A5\u0308\u0301", "\u03A5\u0308\u0301"},
    {0x0587, "\u0535\u0552", "\u0535\u0582"}, {0x1E96, "H\u0331", "H\u0331"}, {0x1E97, "T\u0308", "T\u0308"},
    {0x1E98, "W\u030A", "W\u030A"}, {0x1E99, "Y\u030A", "Y\u030A"}, {0x1E9A, "A\u02BE", "A\u02BE"},
    {0x1F50, "\u03A5\u0313", "\u03A5\u0313"}, {0x1F52, "\u03A5\u0313\u0300", "\u03A5\u0313\u0300"},
    {0x1F54, "\u03A5\u0313\u0301", "\u03A5\u0313\u0301"}, {0x1F56, "\u03A5\u0313\u0342", "\u03A5\u0313\u0342"},
    {0x1F80, "\u1F08\u0399", "\u1F88"}, {0x1F81, "\u1F09\u0399", "\u1F89"}, {0x1F82, "\u1F0A\u0399", "\u1F8A"},
    {0x1F83, "\u1F0B\u0399", "\u1F8B"}, {0x1F84, "\u1F0C\u0399", "\u1F8C"}, {0x1F85, "\u1F0D\u0399", "\u1F8D"},
    {0x1F86, "\u1F0E\u0399", "\u1F8E"}, {0x1F87, "\u1F0F\u0399", "\u1F8F"}, {0x1F88, "\u1F08\u0399", "\u1F88"},
    {0x1F89, "\u1F09\u0399", "\u1F89"}, {0x1F8A, "\u1F0A\u0399", "\u1F8A"}, {0x1F8B, "\u1F0B\u0399", "\u1F8B"},
    {0x1F8C, "\u1F0C\u0399", "\u1F8C"}, {0x1F8D, "\u1F0D\u0399", "\u1F8D"}, {0x1F8E, "\u1F0E\u0399", "\u1F8E"},
    {0x1F8F, "\u1F0F\u0399", "\u1F8F"}, {0x1F90, "\u1F28\u0399", "\u1F98"}, {0x1F91, "\u1F29\u0399", "\u1F99"},
    {0x1F92, "\u1F2A\u0399", "\u1F9A"}, {0x1F93, "\u1F2B\u0399", "\u1F9B"}, {0x1F94, "\u1F2C\u0399", "\u1F9C"},
    {0x1F95, "\u1F2D\u0399", "\u1F9D"}, {0x1F96, "\u1F2E\u0399", "\u1F9E"}, {0x1F97, "\u1F2F\u0399", "\u1F9F"},
    {0x1F98, "\u1F28\u0399", "\u1F98"}, {0x1F99, "\u1F29\u0399", "\u1F99"}, {0x1F9A, "\u1F2A\u0399", "\u1F9A"},
    {0x1F9B, "\u1F2B\u0399", "\u1F9B"}, {0x1F9C, "\u1F2C\u0399", "\u1F9C"}, {0x1F9D, "\u1F2D\u0399", "\u1F9D"},
    {0x1F9E, "\u1F2E\u0399", "\u1F9E"}, {0x1F9F, "\u1F2F\u0399", "\u1F9F"}, {0x1FA0, "\u1F68\u0399", "\u1FA8"},
    {0x1FA1, "\u1F69\u0399", "\u1FA9"}, {0x1FA2, "\u1F6A\u0399", "\u1FAA"}, {0x1FA3, "\u1F6B\u0399", "\u1FAB"},
    {0x1FA4, "\u1F6C\u0399", "\u1FAC"}, {0x1FA5, "\u1F6D\u0399", "\u1FAD"}, {0x1FA6, "\u1F6E\u0399", "\u1FAE"},
    {0x1FA7, "\u1F6F\u0399", "\u1FAF"}, {0x1FA8, "\u1F68\u0399", "\u1FA8"}, {0x1FA9, "\u1F69\u0399", "\u1FA9"},
    {0x1FAA, "\u1F6A\u0399", "\u1FAA"}, {0x1FAB, "\u1F6B\u0399", "\u1FAB"}, {0x1FAC, "\u1F6C\u0399", "\u1FAC"},
    {0x1FAD, "\u1F6D\u0399", "\u1FAD"}, {0x1FAE, "\u1F6E\u0399", "\u1FAE"}, {0x1FAF, "\u1F6F\u0399", "\u1FAF"},
    {0x1FB2, "\u1FBA\u0399", "\u1FBA\u0345"}, {0x1FB3, "\u0391\u0399", "\u1FBC"},
    {0x1FB4, "\u0386\u0399", "\u0386\u0345"}, {0x1FB6, "\u0391\u0342", "\u0391\u0342"},
    {0x1FB7, "\u0391\u0342\u0399", "\u0391\u0342\u0345"}, {0x1FBC, "\u0391\u0399", "\u1FBC"},
    {0x1FC2, "\u1FCA\u0399", "\u1FCA\u0345"}, {0x1FC3, "\u0397\u0399", "\u1FCC"},
    {0x1FC4, "\u0389\u0399", "\u0389\u0345"}, {0x1FC6, "\u0397\u0342", "\u0397\u0342"},
    {0x1FC7, "\u0397\u0342\u0399", "\u0397\u0342\u0345"}, {0x1FCC, "\u0397\u0399", "\u1FCC"},
    {0x1FD2, "\u0399\u0308\u0300", "\u0399\u0308\u0300"}, {0x1FD3, "\u0399\u0308\u0301", "\u0399\u0308\u0301"},
    {0x1FD6, "\u0399\u0342", "\u0399\u0342"}, {0x1FD7, "\u0399\u0308\u0342", "\u0399\u0308\u0342"},
    {0x1FE2, "\u03A5\u0308\u0300", "\u03A5\u0308\u0300"}, {0x1FE3, "\u03A5\u0308\u0301", "\u03A5\u0308\u0301"},
    {0x1FE4, "\u03A1\u0313", "\u03A1\u0313"}, {0x1FE6, "\u03A5\u0342", "\u03A5\u0342"},
    {0x1FE7, "\u03A5\u0308\u0342", "\u03A5\u0308\u0342"}, {0x1FF2, "\u1FFA\u0399", "\u1FFA\u0345"},
    {0x1FF3, "\u03A9\u0399", "\u1FFC"}, {0x1FF4, "\u038F\u0399", "\u038F\u0345"},
    {0x1FF6, "\u03A9\u0342", "\u03A9\u0342"}, {0x1FF7, "\u03A9\u0342\u0399", "\u03A9\u0342\u0345"},
    {0x1FFC, "\u03A9\u0399", "\u1FFC"}, {0xFB00, "FF", "Ff"}, {0xFB01, "FI", "Fi"}, {0xFB02, "FL", "Fl"},
    {0xFB03, "FFI", "Ffi"}, {0xFB04, "FFL", "Ffl"}, {0xFB05, "ST", "St"}, {0xFB06, "ST", "St"},
    {0xFB13, "\u0544\u0546", "\u0544\u0576"}, {0xFB14, "\u0544\u0535", "\u0544\u0565"},
    {0xFB15, "\u0544\u053B", "\u0544\u056B"}, {0xFB16, "\u054E\u0546", "\u054E\u0576"},
    {0xFB17, "\u0544\u053D", "\u0544\u056D"},
};
// clang-format on

const SpecialCase* special_case(char32_t value) {
  if (value < 0xDF) return nullptr;
  const auto* row = std::lower_bound(std::begin(kSpecialCases), std::end(kSpecialCases), value,
                                     [](const SpecialCase& r, char32_t c) { return r.value < c; });
  return row != std::end(kSpecialCases) && row->value == value ? row : nullptr;
}

utf8proc_int32_t signed_value(char32_t c) { return static_cast<utf8proc_int32_t>(c); }

bool is_cased(char32_t c) {
  const auto category = utf8proc_category(signed_value(c));
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT ||
         utf8proc_islower(signed_value(c)) || utf8proc_isupper(signed_value(c));
}

bool is_case_ignorable(char32_t c) {
  if (c == '\'' || c == '.' || c == ':' || c == '^' || c == '`' || c == 0xAD || c == 0xB7 || c == 0x2019) return true;
  const auto category = utf8proc_category(signed_value(c));
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_LM || category == UTF8PROC_CATEGORY_SK;
}

void append_upper(std::string& out, char32_t c) {
  if (const SpecialCase* row = special_case(c)) {
    out += row->upper;
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_toupper(signed_value(c))));
  }
}

void append_title(std::string& out, char32_t c) {
  if (const SpecialCase* row = special_case(c)) {
    out += row->title;
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_totitle(signed_value(c))));
  }
}

// A capital sigma at the end of a word becomes ς: a cased character before it, none after, ignoring marks.
bool is_final_sigma(std::string_view bytes, size_t position) {
  bool before = false;
  for (size_t i = 0; i < position;) {
    const CodePoint point = code_point_at(bytes, i);
    if (!is_case_ignorable(point.value)) before = is_cased(point.value);
    i += point.length;
  }
  if (!before) return false;
  for (size_t i = position + 2; i < bytes.size();) {
    const CodePoint point = code_point_at(bytes, i);
    if (!is_case_ignorable(point.value)) return !is_cased(point.value);
    i += point.length;
  }
  return true;
}

void append_lower(std::string& out, char32_t c, std::string_view bytes, size_t position) {
  if (c == 0x130) {
    out += "i\u0307";
  } else if (c == 0x3A3) {
    // The look-around is bounded, so that a long run of sigmas stays linear.
    const size_t from = position > 64 ? position - 64 : 0;
    const std::string_view window = bytes.substr(from, std::min<size_t>(bytes.size() - from, 130));
    append_utf8(out, is_final_sigma(window, position - from) ? 0x3C2 : 0x3C3);
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(signed_value(c))));
  }
}

bool starts_word(char32_t previous) {
  return is_space(previous) || previous == '-' || previous == '(' || previous == '{' || previous == '[' ||
         previous == '<';
}

}  // namespace

Text map_case(const Text& text, Case mapping) {
  const std::string& bytes = text.bytes();
  Text result;
  result.markup = text.markup;
  std::string mapped;
  bool first = true, previous_cased = false;
  char32_t previous = ' ';
  for (size_t i = 0; i < bytes.size();) {
    const CodePoint point = code_point_at(bytes, i);
    const char32_t c = point.value;
    mapped.clear();
    if (c == 0xFFFD && point.length == 1) {
      mapped = bytes.substr(i, 1);  // a malformed byte stays as it is
    } else {
      switch (mapping) {
        case Case::kUpper: append_upper(mapped, c); break;
        case Case::kLower: append_lower(mapped, c, bytes, i); break;
        case Case::kSwap:
          if (utf8proc_isupper(signed_value(c))) {
            append_lower(mapped, c, bytes, i);
          } else {
            append_upper(mapped, c);
          }
          break;
        case Case::kCapitalize:
          first ? append_title(mapped, c) : append_lower(mapped, c, bytes, i);
          break;
        case Case::kTitle:
          previous_cased ? append_lower(mapped, c, bytes, i) : append_title(mapped, c);
          previous_cased = is_cased(c);
          break;
        case Case::kTitleFilter:
          starts_word(previous) ? append_upper(mapped, c) : append_lower(mapped, c, bytes, i);
          break;
      }
    }
    result.append(mapped, text.source_at(i));
    previous = c;
    first = false;
    i += point.length;
  }
  if (bytes.empty()) return text;
  return result;
}

}  // namespace hone::text::jinja
