// Text with provenance: bytes plus the message each byte came from. Every string operation of the template language is
// built from the few below, so provenance survives slicing, stripping, splitting, replacing, joining and case mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone::text::jinja {

/// Who wrote a byte: the template itself, the i-th message (i ≥ 0), or other data handed to the template (tools, extra).
using Source = int32_t;
inline constexpr Source kTemplate = -1;
inline constexpr Source kOtherData = -2;

/// [begin, end) bytes from one source other than kTemplate. Empty runs (begin == end) mark where an empty string of a
/// message was written.
struct Run {
  size_t begin, end;
  Source source;
};

/// UTF-8 bytes with provenance. Runs are sorted and disjoint; bytes outside every run are the template's own.
class Text {
 public:
  Text() = default;
  explicit Text(std::string bytes, Source source = kTemplate);

  const std::string& bytes() const { return bytes_; }
  const std::vector<Run>& runs() const { return runs_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  /// True for a string that `escape` made: adding to it escapes the other side.
  bool markup = false;

  void append(std::string_view bytes, Source source = kTemplate);
  void append(const Text& text);

  /// Bytes [begin, end) with their provenance.
  Text slice(size_t begin, size_t end) const;

  /// The source of the byte at `position`.
  Source source_at(size_t position) const;

  std::string take_bytes() { return std::move(bytes_); }

 private:
  void add_run(size_t begin, size_t end, Source source);

  std::string bytes_;
  std::vector<Run> runs_;
};

/// The code point at `position` and its length in bytes (≥ 1). A malformed byte counts as one character, U+FFFD.
struct CodePoint {
  char32_t value;
  size_t length;
};
CodePoint code_point_at(std::string_view bytes, size_t position);

/// Appends `value` as UTF-8.
void append_utf8(std::string& bytes, char32_t value);

/// Number of code points.
size_t code_points(std::string_view bytes);

/// Byte offset of code point `index`, at most bytes.size().
size_t byte_offset(std::string_view bytes, size_t index);

/// Position of the first malformed byte, or npos.
size_t find_malformed_utf8(std::string_view bytes);

/// str.isspace for one character.
bool is_space(char32_t value);

/// Substring search in linear time; npos when absent.
size_t find_bytes(std::string_view haystack, std::string_view needle, size_t from = 0);

enum class Side { kLeft, kRight, kBoth };

/// str.strip / lstrip / rstrip; `characters` null strips white space.
Text strip(const Text& text, Side side, const std::string* characters);

/// str.split(separator, limit) and str.rsplit; `separator` null splits on runs of white space; limit < 0: no limit.
std::vector<Text> split(const Text& text, const std::string* separator, int64_t limit);
std::vector<Text> rsplit(const Text& text, const std::string* separator, int64_t limit);

/// str.splitlines.
std::vector<Text> split_lines(const Text& text, bool keep_ends);

/// str.replace; limit < 0: all.
Text replace(const Text& text, const Text& from, const Text& to, int64_t limit);

/// str.upper, lower, title, capitalize, swapcase (full Unicode mappings), and Jinja's own `title` filter, which starts
/// words after white space, hyphens and opening brackets only.
enum class Case { kUpper, kLower, kTitle, kCapitalize, kSwap, kTitleFilter };
Text map_case(const Text& text, Case mapping);

/// Characters & < > ' " as HTML entities.
Text escape_html(const Text& text);

}  // namespace hone::text::jinja
