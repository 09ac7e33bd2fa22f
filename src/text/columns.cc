#include "text/columns.h"

#include <utf8proc.h>

#include <algorithm>

#include "text/unicode.h"

namespace hone::text {
namespace {

struct Glyph {
  size_t bytes = 0;
  int64_t columns = 0;
  bool clings = false;  // belongs to the character before it: combining marks, and punctuation that begins no line
};

// ESC [ … letter
size_t escape_length(std::string_view text) {
  if (!text.starts_with("\x1b[")) return 0;
  size_t at = 2;
  while (at < text.size() && !(text[at] >= 0x40 && text[at] <= 0x7E)) ++at;
  return std::min(at + 1, text.size());
}

bool begins_no_line(uint32_t c) {
  constexpr std::u32string_view kClosing = U"，。、；：！？）】》」』”’…";
  return kClosing.find(static_cast<char32_t>(c)) != std::u32string_view::npos;
}

Glyph first_glyph(std::string_view text) {
  if (const size_t escape = escape_length(text)) return {escape, 0, true};
  const size_t length = utf8_length(text);
  if (length == 0) return {1, 1, false};
  const uint32_t c = utf8_code_point(text);
  const int64_t width = utf8proc_charwidth(static_cast<utf8proc_int32_t>(c));
  return {length, width, (width == 0 && c >= 0x20) || begins_no_line(c)};
}

// What no line break may come into: a word without wide characters, or one wide character.
struct Unit {
  std::string_view text;
  int64_t columns = 0;
  int64_t spaces = 0;  // before it
};

std::vector<Unit> units_of(std::string_view line) {
  std::vector<Unit> units;
  int64_t spaces = 0;
  bool open = false;  // the last unit may grow
  for (size_t at = 0; at < line.size();) {
    if (line[at] == ' ') {
      ++spaces, ++at;
      open = false;
      continue;
    }
    const Glyph glyph = first_glyph(line.substr(at));
    const bool wide = glyph.columns > 1;
    const bool per_cent = line[at] == '%' && spaces == 1;  // stays with its number
    const bool joins = !units.empty() && (per_cent || (spaces == 0 && (glyph.clings || (open && !wide))));
    if (joins)
      units.back() = {{units.back().text.data(), units.back().text.size() + static_cast<size_t>(spaces) + glyph.bytes}, units.back().columns + spaces + glyph.columns, units.back().spaces};
    else units.push_back({line.substr(at, glyph.bytes), glyph.columns, spaces});
    if (!glyph.clings || !joins) open = !wide;
    spaces = 0;
    at += glyph.bytes;
  }
  return units;
}

void wrap_line(std::string& out, std::string_view line, int64_t width, int64_t indent, int64_t begin) {
  int64_t at = begin;
  bool fresh = true;  // nothing stands in the output's line but its indent
  for (const Unit& unit : units_of(line)) {
    const bool fits_nowhere = unit.columns > width - indent;
    if (!fresh && !fits_nowhere && at + unit.spaces + unit.columns > width) {
      out.append("\n").append(static_cast<size_t>(indent), ' ');
      at = indent;
    } else {
      out.append(static_cast<size_t>(unit.spaces), ' ');
      at += unit.spaces;
    }
    out += unit.text;
    at += unit.columns;
    if (fits_nowhere) at %= width;
    fresh = false;
  }
}

// At most `width` columns; … for the rest.
std::string cut_to(const std::string& text, int64_t width) {
  if (columns(text) <= width) return text;
  int64_t used = 0;
  size_t at = 0;
  while (at < text.size()) {
    const Glyph glyph = first_glyph(std::string_view(text).substr(at));
    if (used + glyph.columns > width - 1) break;
    used += glyph.columns;
    at += glyph.bytes;
  }
  return width > 0 ? text.substr(0, at) + "…" : std::string();
}

}  // namespace

int64_t columns(std::string_view text) {
  int64_t sum = 0;
  for (size_t at = 0; at < text.size();) {
    const Glyph glyph = first_glyph(text.substr(at));
    sum += glyph.columns;
    at += glyph.bytes;
  }
  return sum;
}

std::string wrapped(std::string_view text, int64_t width, int64_t indent) {
  if (width <= 0) return std::string(text);
  indent = std::min(indent, width / 3);
  std::string out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (at > 0) out.append("\n").append(static_cast<size_t>(indent), ' ');
    wrap_line(out, text.substr(at, end - at), width, indent, at > 0 ? indent : 0);
    at = end + 1;
  }
  return out;
}

std::string fitted(const std::vector<LineField>& fields, int64_t width) {
  std::vector<LineField> left = fields;
  const auto joined = [&] {
    std::string line;
    for (const LineField& field : left) line += (line.empty() ? "" : "  ") + field.text;
    return line;
  };
  std::string line = joined();
  while (width > 0 && columns(line) > width) {
    const auto last = std::max_element(left.rbegin(), left.rend(), [](const LineField& a, const LineField& b) { return a.rank < b.rank; });
    if (last == left.rend() || last->rank == 0) return cut_to(line, width);
    left.erase(std::next(last).base());
    line = joined();
  }
  return line;
}

}  // namespace hone::text
