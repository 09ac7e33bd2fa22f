#include "serve/schema/text_rule.h"

#include <algorithm>
#include <utility>

#include "text/unicode.h"

namespace hone::serve {
namespace {

constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";

int hex_digit_of(unsigned char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Makes [low, high] what of it needs `bytes` bytes. False: no characters, or surrogates only.
bool some_character(char32_t& low, char32_t& high, uint8_t bytes) {
  constexpr char32_t kFirst[] = {0, 0, 0x80, 0x800, 0x10000}, kLast[] = {0, 0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
  low = std::max(low, kFirst[bytes]), high = std::min(high, kLast[bytes]);
  return low <= high && !(low >= 0xD800 && high <= 0xDFFF);
}

}  // namespace

TextCursor TextRule::begin() const {
  TextCursor cursor;
  if (automaton) cursor.state = automaton->start();
  return cursor;
}

bool TextRule::complete(const TextCursor& cursor) const {
  return cursor.between() && cursor.length >= min && (!automaton || automaton->accepts(cursor.state));
}

bool TextRule::holds(std::string_view utf8) const {
  const size_t length = code_points(utf8).size();
  return length >= min && length <= max && (!automaton || automaton->holds(utf8));
}

uint64_t TextRule::texts(const TextCursor& cursor) const {
  if (automaton) return automaton->texts(cursor.state);
  return cursor.length >= max ? 1 : TextAutomaton::kMany;
}

// Characters that may come behind the next one.
uint32_t TextRule::room(const TextCursor& cursor) const { return max == UINT32_MAX ? max : max - cursor.length - 1; }

bool TextRule::may(const TextCursor& cursor, char32_t low, char32_t high) const {
  if (cursor.length >= max) return false;
  return !automaton || automaton->may(cursor.state, low, high, room(cursor));
}

bool TextRule::take(TextCursor& cursor, char32_t c, std::string* decoded) const {
  if (cursor.length >= max) return false;
  if (automaton) {
    cursor.state = automaton->next(cursor.state, c);
    if (cursor.state == TextAutomaton::kDead || automaton->shortest(cursor.state) > room(cursor)) return false;
  }
  if (cursor.length < UINT32_MAX - 1) ++cursor.length;
  if (decoded) text::append_utf8(*decoded, c);
  return true;
}

TextRule::Step TextRule::step(TextCursor& cursor, unsigned char byte, std::string* decoded) const {
  if (cursor.escape != 0) return step_escape(cursor, byte, decoded);
  if (cursor.missing != 0) return step_character(cursor, byte, decoded);
  if (cursor.high != 0) return byte == '\\' ? (cursor.escape = 1, Step::kInside) : Step::kRefused;
  if (byte == '"') return complete(cursor) ? Step::kEnd : Step::kRefused;
  if (byte == '\\') {
    cursor.escape = 1;
    if (automaton) {
      const bool some = std::any_of(kMeant.begin(), kMeant.end(), [&](char c) { return may(cursor, static_cast<char32_t>(c), static_cast<char32_t>(c)); });
      return some || may(cursor, 0, 0x1F) ? Step::kInside : Step::kRefused;
    }
    return cursor.length < max ? Step::kInside : Step::kRefused;
  }
  if (byte < 0x20) return Step::kRefused;
  if (byte < 0x80) return take(cursor, byte, decoded) ? Step::kInside : Step::kRefused;
  const uint8_t bytes = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 0;
  if (bytes == 0 || byte > 0xF4) return Step::kRefused;
  cursor.shortest = bytes;
  cursor.missing = static_cast<uint8_t>(bytes - 1);
  cursor.partial = byte & (0x7Fu >> bytes);
  char32_t low = cursor.partial << (6 * cursor.missing), high = low | ((char32_t{1} << (6 * cursor.missing)) - 1);
  return some_character(low, high, bytes) && may(cursor, low, high) ? Step::kInside : Step::kRefused;
}

TextRule::Step TextRule::step_character(TextCursor& cursor, unsigned char byte, std::string* decoded) const {
  if ((byte & 0xC0) != 0x80) return Step::kRefused;
  cursor.partial = cursor.partial << 6 | (byte & 0x3F);
  --cursor.missing;
  char32_t low = cursor.partial << (6 * cursor.missing), high = low | ((char32_t{1} << (6 * cursor.missing)) - 1);
  if (!some_character(low, high, cursor.shortest)) return Step::kRefused;
  if (cursor.missing > 0) return may(cursor, low, high) ? Step::kInside : Step::kRefused;
  return take(cursor, std::exchange(cursor.partial, 0), decoded) ? Step::kInside : Step::kRefused;
}

TextRule::Step TextRule::step_escape(TextCursor& cursor, unsigned char byte, std::string* decoded) const {
  if (cursor.escape == 1) {
    if (byte == 'u') {
      cursor.escape = 2;
      cursor.partial = 0;
      return !automaton || may(cursor, 0, 0x1F) ? Step::kInside : Step::kRefused;
    }
    if (cursor.high != 0) return Step::kRefused;
    const size_t at = kEscapes.find(static_cast<char>(byte));
    if (at == std::string_view::npos) return Step::kRefused;
    cursor.escape = 0;
    return take(cursor, static_cast<char32_t>(kMeant[at]), decoded) ? Step::kInside : Step::kRefused;
  }
  const int digit = hex_digit_of(byte);
  if (digit < 0) return Step::kRefused;
  const unsigned left = 5u - cursor.escape;  // digits after this one
  cursor.partial = cursor.partial << 4 | static_cast<char32_t>(digit);
  const char32_t low = cursor.partial << (4 * left), high = low | ((char32_t{1} << (4 * left)) - 1);
  // The second half of a pair, nothing else, follows a first half; with an automaton there are control characters only.
  if (cursor.high != 0) {
    if (high < 0xDC00 || low > 0xDFFF) return Step::kRefused;
  } else if (automaton) {
    if (low > 0x1F || !may(cursor, low, std::min<char32_t>(high, 0x1F))) return Step::kRefused;
  } else if (low >= 0xDC00 && high <= 0xDFFF) {
    return Step::kRefused;
  }
  if (left > 0) return ++cursor.escape, Step::kInside;
  cursor.escape = 0;
  const char32_t c = std::exchange(cursor.partial, 0);
  if (cursor.high != 0) return take(cursor, 0x10000 + ((static_cast<char32_t>(std::exchange(cursor.high, 0)) - 0xD800) << 10) + (c - 0xDC00), decoded) ? Step::kInside : Step::kRefused;
  if (c >= 0xD800 && c <= 0xDBFF) return cursor.high = static_cast<char16_t>(c), Step::kInside;
  return take(cursor, c, decoded) ? Step::kInside : Step::kRefused;
}

}  // namespace hone::serve
