#include "text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <span>

#include "base/error.h"
#include "text/unicode.h"
#include "text/unicode_stand_ins.h"

namespace hone::text {
namespace {

struct Range { uint32_t first, last; };

bool in(std::span<const Range> ranges, uint32_t c) {
  const auto* it = std::upper_bound(ranges.data(), ranges.data() + ranges.size(), c, [](uint32_t value, const Range& range) { return value < range.first; });
  return it != ranges.data() && c <= (it - 1)->last;
}

// Characters that a form leaves alone and that never join with the one before. Not complete: the rest takes the long way.
bool stable(uint32_t c, Normalization form) {
  constexpr Range kComposed[] = {{0, 0x2FF},         {0x388, 0x481},   {0x621, 0x64A},   {0xE01, 0xE30},   {0x2010, 0x2027},
                                 {0x3001, 0x3029},   {0x3041, 0x3096}, {0x30A1, 0x30FA}, {0x4E00, 0x9FFF}, {0xAC00, 0xD7A3},
                                 {0xFF01, 0xFFEF},   {0x1F300, 0x1FAFF}};
  if (form == Normalization::kNfc) return in(kComposed, c);
  return c < 0xA0 || (c >= 0x4E00 && c <= 0x9FFF);
}

// Marks that the reference (unicode-normalization-alignments, Unicode 9's classes) does not reorder, although Unicode 15 does.
int combining_class(int32_t c) {
  constexpr Range kUnordered[] = {
      {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},
      {0x1715, 0x1715},   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},   {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF},
      {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x1193D, 0x1193E},
      {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45},
      {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF},
      {0x1E4EC, 0x1E4EF}};
  const int value = utf8proc_get_property(c)->combining_class;
  return value && !in(kUnordered, static_cast<uint32_t>(c)) ? value : 0;
}

// Letters whose compatibility forms came after the reference's tables.
bool undecomposed(uint32_t c) {
  constexpr Range kLater[] = {{0x32FF, 0x32FF},   {0xA7F2, 0xA7F4},   {0xAB69, 0xAB69},   {0x10781, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA},
                              {0x11938, 0x11938}, {0x1E030, 0x1E06D}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9}};
  return in(kLater, c);
}

// Decomposes, orders the marks, composes. Marks are sorted rather than exchanged pair by pair, so that a run of a million of
// them takes no quadratic time.
std::string form_of(std::string_view text, Normalization form) {
  const bool compose = form == Normalization::kNfc || form == Normalization::kNfkc;
  int options = UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
  if (form == Normalization::kNfkc || form == Normalization::kNfkd) options |= UTF8PROC_COMPAT;
  std::vector<int32_t> points;
  points.reserve(text.size());
  for (size_t at = 0; at < text.size(); at += utf8_length(text.substr(at))) {
    const uint32_t c = utf8_code_point(text.substr(at));
    if (undecomposed(c) && form != Normalization::kNfc) {
      points.push_back(static_cast<int32_t>(c));
      continue;
    }
    int32_t expanded[32];
    int boundary = 0;
    const auto n = utf8proc_decompose_char(static_cast<int32_t>(c), expanded, std::size(expanded),
                                           static_cast<utf8proc_option_t>(options), &boundary);
    HONE_CHECK(n >= 0 && n <= static_cast<ptrdiff_t>(std::size(expanded)), "utf8proc: {}", utf8proc_errmsg(n));
    points.insert(points.end(), expanded, expanded + n);
  }
  std::string out;
  const auto emit = [&](size_t begin, size_t end) {
    auto n = static_cast<utf8proc_ssize_t>(end - begin);
    if (compose) n = utf8proc_normalize_utf32(points.data() + begin, n, static_cast<utf8proc_option_t>(options));
    for (utf8proc_ssize_t i = 0; i < n; ++i) append_utf8(out, static_cast<uint32_t>(points[begin + static_cast<size_t>(i)]));
  };
  size_t chunk = 0;
  for (size_t at = 0; at < points.size();) {
    size_t stop = at;
    while (stop < points.size() && combining_class(points[stop]) > 0) ++stop;
    if (stop - at > 1)
      std::stable_sort(points.begin() + static_cast<ptrdiff_t>(at), points.begin() + static_cast<ptrdiff_t>(stop),
                       [](int32_t a, int32_t b) { return combining_class(a) < combining_class(b); });
    if (stop == at) {
      // A mark the reference takes for a letter: composition starts anew there.
      if (utf8proc_get_property(points[at])->combining_class > 0) {
        emit(chunk, at);
        chunk = at;
      }
      ++stop;
    }
    at = stop;
  }
  emit(chunk, points.size());
  return out;
}

MappedText form_of(MappedText in, Normalization form) {
  const std::string& text = in.text;
  MappedBuilder out(in);
  size_t kept = 0;
  bool changed = false;
  for (size_t at = 0; at < text.size();) {
    const auto next = [&](size_t i) { return i + utf8_length(std::string_view(text).substr(i)); };
    const auto is_stable = [&](size_t i) {
      return static_cast<uint8_t>(text[i]) < 0x80 || stable(utf8_code_point(std::string_view(text).substr(i)), form);
    };
    const bool first_stable = is_stable(at);
    size_t stop = next(at);
    if (first_stable && (stop == text.size() || is_stable(stop))) {
      at = stop;
      continue;
    }
    while (stop < text.size() && !is_stable(stop)) stop = next(stop);
    const std::string formed = form_of(std::string_view(text).substr(at, stop - at), form);
    if (std::string_view(text).substr(at, stop - at) != formed) {
      out.keep(kept, at);
      out.put(formed, at, stop);
      kept = stop;
      changed = true;
    }
    at = stop;
  }
  if (!changed) return in;
  out.keep(kept, text.size());
  return out.take();
}

MappedText strip(const MappedText& in, bool left, bool right) {
  const std::string& text = in.text;
  size_t begin = 0, end = text.size();
  while (left && begin < end && is_white_space(utf8_code_point(std::string_view(text).substr(begin)))) begin += utf8_length(std::string_view(text).substr(begin));
  while (right && end > begin) {
    size_t last = end - 1;
    while (last > begin && (static_cast<uint8_t>(text[last]) & 0xC0) == 0x80) --last;
    if (!is_white_space(utf8_code_point(std::string_view(text).substr(last)))) break;
    end = last;
  }
  return in.slice(begin, end);
}

// utf8proc knows Unicode 15; these came later.
uint32_t lower_case(uint32_t c) {
  if (c >= 0x10D50 && c <= 0x10D65) return c + 0x20;
  if (c >= 0x16EA0 && c <= 0x16EB8) return c + 0x1B;
  constexpr uint32_t kLater[][2] = {{0x1C89, 0x1C8A}, {0xA7CB, 0x264},  {0xA7CC, 0xA7CD}, {0xA7CE, 0xA7CF},
                                    {0xA7D2, 0xA7D3}, {0xA7D4, 0xA7D5}, {0xA7DA, 0xA7DB}, {0xA7DC, 0x19B}};
  for (const auto& [upper, lower] : kLater)
    if (c == upper) return lower;
  return static_cast<uint32_t>(utf8proc_tolower(static_cast<int32_t>(c)));
}

MappedText lowercase(const MappedText& in) {
  MappedBuilder out(in);
  size_t kept = 0;
  for (size_t at = 0; at < in.text.size();) {
    const size_t n = utf8_length(std::string_view(in.text).substr(at));
    const uint32_t c = utf8_code_point(std::string_view(in.text).substr(at));
    std::string lower;
    if (c == 0x130) lower = "i\xCC\x87";  // the one character whose lower case is two (SpecialCasing.txt)
    else if (const uint32_t l = lower_case(c); l != c) append_utf8(lower, l);
    if (!lower.empty()) {
      out.keep(kept, at);
      out.put(lower, at, at + n);
      kept = at + n;
    }
    at += n;
  }
  if (kept == 0) return in;
  out.keep(kept, in.text.size());
  return out.take();
}

}  // namespace

MappedText MappedText::slice(size_t from, size_t to) const {
  MappedText out;
  out.text = text.substr(from, to - from);
  out.base = base + static_cast<int32_t>(from);
  if (!begin.empty()) {
    out.begin.assign(begin.begin() + static_cast<ptrdiff_t>(from), begin.begin() + static_cast<ptrdiff_t>(to));
    out.end.assign(end.begin() + static_cast<ptrdiff_t>(from), end.begin() + static_cast<ptrdiff_t>(to));
  }
  return out;
}

void MappedBuilder::keep(size_t from, size_t to) {
  out_.text.append(in_.text, from, to - from);
  for (size_t i = from; i < to; ++i) {
    out_.begin.push_back(in_.source_begin(i));
    out_.end.push_back(in_.source_end(i));
  }
}

void MappedBuilder::put(std::string_view text, size_t from, size_t to) {
  const int32_t begin = from < in_.text.size() ? in_.source_begin(from) : in_.text.empty() ? in_.base : in_.source_end(from - 1);
  const int32_t end = to > from ? in_.source_end(to - 1) : begin;
  out_.text += text;
  out_.begin.insert(out_.begin.end(), text.size(), begin);
  out_.end.insert(out_.end.end(), text.size(), end);
}

MappedText replaced(const MappedText& in, const Pattern& pattern, std::string_view with) {
  MappedBuilder out(in);
  size_t kept = 0;
  const auto stand_ins = with_stand_ins(in.text);
  pattern.each_match(stand_ins ? *stand_ins : in.text, [&](size_t begin, size_t end) {
    out.keep(kept, begin);
    out.put(with, begin, end);
    kept = end;
  });
  if (kept == 0) return in;
  out.keep(kept, in.text.size());
  return out.take();
}

MappedText normalize(MappedText text, const std::vector<NormalizeStep>& steps) {
  for (const NormalizeStep& step : steps) {
    switch (step.kind) {
      case NormalizeStep::Kind::kForm: text = form_of(std::move(text), step.form); break;
      case NormalizeStep::Kind::kReplace: text = replaced(text, *step.pattern, step.text); break;
      case NormalizeStep::Kind::kPrepend:
        if (!text.text.empty()) {
          MappedBuilder out(text);
          out.put(step.text, 0, 0);
          out.keep(0, text.text.size());
          text = out.take();
        }
        break;
      case NormalizeStep::Kind::kLowercase: text = lowercase(text); break;
      case NormalizeStep::Kind::kStrip: text = strip(text, step.left, step.right); break;
    }
  }
  return text;
}

}  // namespace hone::text
