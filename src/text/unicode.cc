#include "text/unicode.h"

namespace hone::text {
namespace {

struct Lead { size_t length; uint8_t second_low, second_high; };

// Length and the second byte's range by lead byte (Unicode standard, table 3-7); length 0 for bytes that begin nothing.
Lead lead_of(uint8_t b) {
  if (b < 0x80) return {1, 0, 0};
  if (b < 0xC2) return {0, 0, 0};
  if (b < 0xE0) return {2, 0x80, 0xBF};
  if (b == 0xE0) return {3, 0xA0, 0xBF};
  if (b == 0xED) return {3, 0x80, 0x9F};
  if (b < 0xF0) return {3, 0x80, 0xBF};
  if (b == 0xF0) return {4, 0x90, 0xBF};
  if (b < 0xF4) return {4, 0x80, 0xBF};
  if (b == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// Well-formed bytes from the start, at most the lead's length.
size_t good_bytes(std::string_view text, const Lead& lead) {
  size_t n = 1;
  for (; n < lead.length && n < text.size(); ++n) {
    const auto b = static_cast<uint8_t>(text[n]);
    const uint8_t low = n == 1 ? lead.second_low : 0x80, high = n == 1 ? lead.second_high : 0xBF;
    if (b < low || b > high) break;
  }
  return n;
}

}  // namespace

size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const Lead lead = lead_of(static_cast<uint8_t>(text[0]));
  return lead.length && good_bytes(text, lead) == lead.length ? lead.length : 0;
}

size_t utf8_bad_length(std::string_view text) {
  const Lead lead = lead_of(static_cast<uint8_t>(text[0]));
  return lead.length ? good_bytes(text, lead) : 1;
}

std::string utf8_replace_bad(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  size_t kept = 0, at = 0;
  while (at < text.size()) {
    if (static_cast<uint8_t>(text[at]) < 0x80) {
      ++at;
    } else if (const size_t n = utf8_length(text.substr(at))) {
      at += n;
    } else {
      out += text.substr(kept, at - kept);
      out += "\xEF\xBF\xBD";
      at += utf8_bad_length(text.substr(at));
      kept = at;
    }
  }
  return out += text.substr(kept);
}

bool utf8_valid(std::string_view text) {
  while (!text.empty()) {
    const size_t n = utf8_length(text);
    if (!n) return false;
    text.remove_prefix(n);
  }
  return true;
}

size_t utf8_incomplete_tail(std::string_view text) {
  for (size_t n = 1; n <= 3 && n <= text.size(); ++n) {
    const std::string_view tail = text.substr(text.size() - n);
    const Lead lead = lead_of(static_cast<uint8_t>(tail[0]));
    if (lead.length > n && good_bytes(tail, lead) == n) return n;
  }
  return 0;
}

uint32_t utf8_code_point(std::string_view text) {
  const auto b = static_cast<uint8_t>(text[0]);
  const size_t n = lead_of(b).length;
  uint32_t code = n == 1 ? b : b & (0x7Fu >> n);
  for (size_t i = 1; i < n; ++i) code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3Fu);
  return code;
}

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

bool is_white_space(uint32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

}  // namespace hone::text
