// Text files by their byte order mark: UTF-8 with or without it, UTF-16 of either order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace hone {

enum class TextMark { kNone, kUtf8, kUtf16Little, kUtf16Big, kUtf32 };

/// What the first four bytes of a file (or fewer, of a shorter one) say.
TextMark text_mark(std::string_view start);
/// Bytes of the mark itself.
size_t mark_bytes(TextMark mark);

/// UTF-16 that arrives in pieces, as UTF-8 (RFC 2781). Surrogates must come in pairs.
class Utf16Decoder {
 public:
  /// `where` names the file in errors.
  Utf16Decoder(bool big_endian, std::string where) : where_(std::move(where)), big_endian_(big_endian) {}

  /// Appends what `bytes` say to `text`. Throws Error{kInvalidInput} for half a surrogate pair.
  void feed(std::string_view bytes, std::string& text);
  /// Throws Error{kInvalidInput} when the last character is not whole.
  void finish() const;

 private:
  [[noreturn]] void refuse(const char* what) const;

  std::string where_;
  bool big_endian_;
  int half_ = -1;       // first byte of a unit
  uint32_t high_ = 0;   // first unit of a pair
  uint64_t taken_ = 2;  // bytes, with those of the mark
};

/// A whole file's bytes as UTF-8 without a mark. Throws Error{kInvalidInput} for broken UTF-16 and Error{kUnsupported} for UTF-32.
std::string decoded_text(std::string bytes, const std::string& where);

/// The same of a file, as read_file reads it.
std::string read_text(const std::filesystem::path& path, size_t limit = size_t{1} << 30);

}  // namespace hone
