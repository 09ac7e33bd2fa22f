#include "data/quality/encoding_hints.h"

#include <fmt/format.h>

#include <array>

#include "text/unicode.h"

namespace hone::data {

std::string encoding_hint(std::string_view text) {
  using namespace std::string_view_literals;
  static constexpr std::array<std::string_view, 4> kGbk = {"锟斤拷"sv, "烫烫烫"sv, "屯屯屯"sv, "ï»¿"sv};
  uint32_t previous = 0;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      if ((byte < 0x20 && byte != '\n' && byte != '\t' && byte != '\r' && byte != '\f') || byte == 0x7F) return fmt::format("control character U+{:04X}", byte);
      previous = byte;
      ++i;
      continue;
    }
    const size_t length = text::utf8_length(text.substr(i));
    if (length == 0) return "bytes that are not UTF-8";
    const uint32_t c = text::utf8_code_point(text.substr(i));
    if (c == 0xFFFD) return "replacement character U+FFFD: the text was damaged when it was decoded";
    if (c == 0xFEFF) return "byte order mark U+FEFF inside the text";
    if (c >= 0x80 && c <= 0x9F && c != 0x85) return fmt::format("control character U+{:04X}: UTF-8 read as Latin-1", c);
    // The two bytes of é, ü … read as Ã and a sign from the second half of Latin-1; the first two of ’ and “ as â€.
    if ((previous == 0xC3 && c >= 0xA0 && c <= 0xBF) || (previous == 0xE2 && c == 0x20AC)) return "UTF-8 read as Latin-1 (Ã©, â€ …)";
    for (const std::string_view trace : kGbk)
      if (text.substr(i).starts_with(trace)) return fmt::format("\"{}\": text decoded with the wrong character set", trace);
    previous = c;
    i += length;
  }
  return {};
}

}  // namespace hone::data
