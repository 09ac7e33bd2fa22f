#include "base/text_encoding.h"

#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace hone {
namespace {

using namespace std::string_view_literals;

void append_utf8(uint32_t code, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | (code >> 12));
    tail(6), tail(0);
  } else {
    text += static_cast<char>(0xF0 | (code >> 18));
    tail(12), tail(6), tail(0);
  }
}

}  // namespace

TextMark text_mark(std::string_view start) {
  if (start.starts_with("\xef\xbb\xbf"sv)) return TextMark::kUtf8;
  if (start.starts_with("\xff\xfe\0\0"sv) || start.starts_with("\0\0\xfe\xff"sv)) return TextMark::kUtf32;
  if (start.starts_with("\xff\xfe"sv)) return TextMark::kUtf16Little;
  if (start.starts_with("\xfe\xff"sv)) return TextMark::kUtf16Big;
  return TextMark::kNone;
}

size_t mark_bytes(TextMark mark) {
  switch (mark) {
    case TextMark::kNone: return 0;
    case TextMark::kUtf8: return 3;
    case TextMark::kUtf32: return 4;
    case TextMark::kUtf16Little:
    case TextMark::kUtf16Big: return 2;
  }
  return 0;
}

void Utf16Decoder::refuse(const char* what) const {
  throw Error(ErrorCode::kInvalidInput, where_, fmt::format("is not UTF-16, as its mark says: {} before byte {}", what, taken_ + 1),
              "save the file again as UTF-8");
}

void Utf16Decoder::feed(std::string_view bytes, std::string& text) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    ++taken_;
    if (half_ < 0) {
      half_ = byte;
      continue;
    }
    const auto first = static_cast<uint32_t>(std::exchange(half_, -1));
    const uint32_t unit = big_endian_ ? first << 8 | byte : static_cast<uint32_t>(byte) << 8 | first;
    const bool low = unit >= 0xDC00 && unit <= 0xDFFF;
    if (high_ != 0 && !low) refuse("half a surrogate pair");
    if (unit >= 0xD800 && unit <= 0xDBFF) {
      high_ = unit;
    } else if (low) {
      if (high_ == 0) refuse("half a surrogate pair");
      append_utf8(0x10000 + ((std::exchange(high_, 0) - 0xD800) << 10) + (unit - 0xDC00), text);
    } else {
      append_utf8(unit, text);
    }
  }
}

void Utf16Decoder::finish() const {
  if (half_ >= 0) refuse("half a character");
  if (high_ != 0) refuse("half a surrogate pair");
}

std::string decoded_text(std::string bytes, const std::string& where) {
  const TextMark mark = text_mark(bytes);
  switch (mark) {
    case TextMark::kNone: return bytes;
    case TextMark::kUtf8: return bytes.erase(0, mark_bytes(mark));
    case TextMark::kUtf32: throw Error(ErrorCode::kUnsupported, where, "this is UTF-32 text", "save it as UTF-8, for example: iconv -f UTF-32 -t UTF-8");
    case TextMark::kUtf16Little:
    case TextMark::kUtf16Big: break;
  }
  std::string text;
  Utf16Decoder decoder(mark == TextMark::kUtf16Big, where);
  decoder.feed(std::string_view(bytes).substr(mark_bytes(mark)), text);
  decoder.finish();
  return text;
}

std::string read_text(const std::filesystem::path& path, size_t limit) { return decoded_text(read_file(path, limit), path.string()); }

}  // namespace hone
