#include "text/jinja_text.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "text/jinja_meter.h"

namespace hone::text::jinja {

Text::Text(std::string bytes, Source source) : bytes_(std::move(bytes)) {
  if (source != kTemplate) runs_.push_back({0, bytes_.size(), source});
}

void Text::add_run(size_t begin, size_t end, Source source) {
  if (!runs_.empty() && runs_.back().source == source && runs_.back().end == begin) {
    runs_.back().end = end;
  } else {
    runs_.push_back({begin, end, source});
  }
}

void Text::append(std::string_view bytes, Source source) {
  if (bytes.size() > text_limit() - std::min(bytes_.size(), text_limit())) charge_text(bytes_.size() + bytes.size());
  if (source != kTemplate) add_run(bytes_.size(), bytes_.size() + bytes.size(), source);
  bytes_.append(bytes);
}

void Text::append(const Text& text) {
  if (text.size() > text_limit() - std::min(bytes_.size(), text_limit())) charge_text(bytes_.size() + text.size());
  const size_t base = bytes_.size();
  for (const Run& run : text.runs_) add_run(base + run.begin, base + run.end, run.source);
  bytes_.append(text.bytes_);
}

Text Text::slice(size_t begin, size_t end) const {
  begin = std::min(begin, bytes_.size());
  end = std::clamp(end, begin, bytes_.size());
  Text part;
  part.markup = markup;
  part.bytes_ = bytes_.substr(begin, end - begin);
  if (runs_.empty()) return part;
  auto run = std::partition_point(runs_.begin(), runs_.end(), [&](const Run& r) { return r.end < begin; });
  for (; run != runs_.end() && run->begin <= end; ++run) {
    const size_t from = std::max(run->begin, begin), to = std::min(run->end, end);
    const bool was_empty = run->begin == run->end;
    // A part that became empty keeps the mark of the run it was cut from.
    if (to > from || was_empty || begin == end) part.add_run(from - begin, to - begin, run->source);
    if (begin == end && !was_empty) break;
  }
  return part;
}

Source Text::source_at(size_t position) const {
  auto run = std::partition_point(runs_.begin(), runs_.end(), [&](const Run& r) { return r.end <= position; });
  return run != runs_.end() && run->begin <= position ? run->source : kTemplate;
}

CodePoint code_point_at(std::string_view bytes, size_t position) {
  const auto byte = [&](size_t i) -> unsigned {
    return position + i < bytes.size() ? static_cast<unsigned char>(bytes[position + i]) : 0u;
  };
  const auto tail = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead >= 0xC2 && lead <= 0xDF && tail(1)) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead >= 0xE0 && lead <= 0xEF && tail(1) && tail(2)) {
    const char32_t value = (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    if (value >= 0x800 && (value < 0xD800 || value > 0xDFFF)) return {value, 3};
  }
  if (lead >= 0xF0 && lead <= 0xF4 && tail(1) && tail(2) && tail(3)) {
    const char32_t value = (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    if (value >= 0x10000 && value <= 0x10FFFF) return {value, 4};
  }
  return {0xFFFD, 1};
}

void append_utf8(std::string& bytes, char32_t value) {
  if (value < 0x80) {
    bytes += static_cast<char>(value);
  } else if (value < 0x800) {
    bytes += static_cast<char>(0xC0 | value >> 6);
    bytes += static_cast<char>(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    bytes += static_cast<char>(0xE0 | value >> 12);
    bytes += static_cast<char>(0x80 | (value >> 6 & 0x3F));
    bytes += static_cast<char>(0x80 | (value & 0x3F));
  } else {
    bytes += static_cast<char>(0xF0 | value >> 18);
    bytes += static_cast<char>(0x80 | (value >> 12 & 0x3F));
    bytes += static_cast<char>(0x80 | (value >> 6 & 0x3F));
    bytes += static_cast<char>(0x80 | (value & 0x3F));
  }
}

size_t code_points(std::string_view bytes) {
  size_t count = 0;
  for (size_t i = 0; i < bytes.size(); i += code_point_at(bytes, i).length) ++count;
  return count;
}

size_t byte_offset(std::string_view bytes, size_t index) {
  size_t position = 0;
  while (index-- > 0 && position < bytes.size()) position += code_point_at(bytes, position).length;
  return position;
}

size_t find_malformed_utf8(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    const CodePoint point = code_point_at(bytes, i);
    if (point.value == 0xFFFD && point.length == 1) return i;
    i += point.length;
  }
  return std::string_view::npos;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

size_t find_bytes(std::string_view haystack, std::string_view needle, size_t from) {
  if (from > haystack.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  // memmem's two-way search is linear; std::string::find is quadratic on repetitive text.
  const void* at = ::memmem(haystack.data() + from, haystack.size() - from, needle.data(), needle.size());
  return at ? static_cast<size_t>(static_cast<const char*>(at) - haystack.data()) : std::string_view::npos;
}

namespace {

bool strips(char32_t c, const std::string* characters) {
  if (!characters) return is_space(c);
  for (size_t i = 0; i < characters->size();) {
    const CodePoint point = code_point_at(*characters, i);
    if (point.value == c) return true;
    i += point.length;
  }
  return false;
}

// The start of the code point that ends right before `end` (end > 0).
size_t previous(std::string_view bytes, size_t end) {
  for (size_t back = std::min<size_t>(4, end); back > 1; --back) {
    if (code_point_at(bytes, end - back).length == back) return end - back;
  }
  return end - 1;
}

}  // namespace

Text strip(const Text& text, Side side, const std::string* characters) {
  const std::string& bytes = text.bytes();
  size_t begin = 0, end = bytes.size();
  if (side != Side::kRight) {
    while (begin < end) {
      const CodePoint point = code_point_at(bytes, begin);
      if (!strips(point.value, characters)) break;
      begin += point.length;
    }
  }
  if (side != Side::kLeft) {
    while (end > begin) {
      const size_t start = previous(bytes, end);
      if (!strips(code_point_at(bytes, start).value, characters)) break;
      end = start;
    }
  }
  return text.slice(begin, end);
}

std::vector<Text> split(const Text& text, const std::string* separator, int64_t limit) {
  const std::string& bytes = text.bytes();
  std::vector<Text> parts;
  size_t begin = 0;
  if (separator) {
    while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
      const size_t at = find_bytes(bytes, *separator, begin);
      if (at == std::string::npos) break;
      parts.push_back(text.slice(begin, at));
      begin = at + separator->size();
    }
    parts.push_back(text.slice(begin, bytes.size()));
    return parts;
  }
  const auto skip_space = [&](size_t i) {
    while (i < bytes.size()) {
      const CodePoint point = code_point_at(bytes, i);
      if (!is_space(point.value)) break;
      i += point.length;
    }
    return i;
  };
  begin = skip_space(0);
  while (begin < bytes.size()) {
    if (limit >= 0 && static_cast<int64_t>(parts.size()) >= limit) {
      parts.push_back(strip(text.slice(begin, bytes.size()), Side::kRight, nullptr));
      break;
    }
    size_t end = begin;
    while (end < bytes.size()) {
      const CodePoint point = code_point_at(bytes, end);
      if (is_space(point.value)) break;
      end += point.length;
    }
    parts.push_back(text.slice(begin, end));
    begin = skip_space(end);
  }
  return parts;
}

std::vector<Text> rsplit(const Text& text, const std::string* separator, int64_t limit) {
  if (limit < 0) return split(text, separator, limit);
  const std::string& bytes = text.bytes();
  std::vector<Text> parts;
  size_t end = bytes.size();
  if (separator) {
    while (static_cast<int64_t>(parts.size()) < limit && end >= separator->size()) {
      const size_t at = std::string_view(bytes).substr(0, end).rfind(*separator);
      if (at == std::string::npos) break;
      parts.push_back(text.slice(at + separator->size(), end));
      end = at;
    }
    parts.push_back(text.slice(0, end));
  } else {
    end = strip(text, Side::kRight, nullptr).size();
    while (end > 0) {
      if (static_cast<int64_t>(parts.size()) >= limit) {
        parts.push_back(strip(text.slice(0, end), Side::kLeft, nullptr));
        break;
      }
      size_t begin = end;
      while (begin > 0 && !is_space(code_point_at(bytes, previous(bytes, begin)).value)) begin = previous(bytes, begin);
      parts.push_back(text.slice(begin, end));
      end = begin;
      while (end > 0 && is_space(code_point_at(bytes, previous(bytes, end)).value)) end = previous(bytes, end);
    }
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Text> split_lines(const Text& text, bool keep_ends) {
  const std::string& bytes = text.bytes();
  std::vector<Text> lines;
  size_t begin = 0;
  for (size_t i = 0; i < bytes.size();) {
    const CodePoint point = code_point_at(bytes, i);
    const char32_t c = point.value;
    const size_t end = i;
    i += point.length;
    const bool breaks = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!breaks) continue;
    if (c == '\r' && i < bytes.size() && bytes[i] == '\n') ++i;
    lines.push_back(text.slice(begin, keep_ends ? i : end));
    begin = i;
  }
  if (begin < bytes.size()) lines.push_back(text.slice(begin, bytes.size()));
  return lines;
}

Text replace(const Text& text, const Text& from, const Text& to, int64_t limit) {
  const std::string& bytes = text.bytes();
  Text result;
  result.markup = text.markup;
  size_t begin = 0;
  int64_t done = 0;
  if (from.empty()) {
    // Python puts `to` before every character and at the end.
    while (limit < 0 || done < limit) {
      result.append(to);
      ++done;
      if (begin >= bytes.size()) return result;
      const size_t next = begin + code_point_at(bytes, begin).length;
      result.append(text.slice(begin, next));
      begin = next;
    }
    result.append(text.slice(begin, bytes.size()));
    return result;
  }
  while (limit < 0 || done < limit) {
    const size_t at = find_bytes(bytes, from.bytes(), begin);
    if (at == std::string::npos) break;
    if (at > begin) result.append(text.slice(begin, at));
    result.append(to);
    begin = at + from.size();
    ++done;
  }
  if (done == 0) return text;
  if (begin < bytes.size()) result.append(text.slice(begin, bytes.size()));
  return result;
}

Text escape_html(const Text& text) {
  Text result;
  const std::string& bytes = text.bytes();
  size_t begin = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char* entity = nullptr;
    switch (bytes[i]) {
      case '&': entity = "&amp;"; break;
      case '<': entity = "&lt;"; break;
      case '>': entity = "&gt;"; break;
      case '\'': entity = "&#39;"; break;
      case '"': entity = "&#34;"; break;
      default: continue;
    }
    if (i > begin) result.append(text.slice(begin, i));
    result.append(entity, text.source_at(i));
    begin = i + 1;
  }
  result.append(text.slice(begin, bytes.size()));
  result.markup = true;
  return result;
}

}  // namespace hone::text::jinja
