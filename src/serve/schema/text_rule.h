// What a string of JSON may hold, read byte by byte.
#pragma once

#include <string>

#include "serve/schema/languages.h"

namespace hone::serve {

/// A place inside a string: behind its opening quote, in a character's bytes, or in an escape.
struct TextCursor {
  uint32_t state = 0;      // of the automaton
  uint32_t length = 0;     // characters so far
  char32_t partial = 0;    // bits of a character whose bytes have begun, or of \uXXXX
  char16_t high = 0;       // the first half of a pair \uD8XX\uDCXX
  uint8_t missing = 0;     // bytes of that character
  uint8_t shortest = 0;    // how many bytes it has
  uint8_t escape = 0;      // 1 behind a backslash, 2…5 within \uXXXX, counted from its first digit

  bool between() const { return missing == 0 && escape == 0 && high == 0; }
};

/// Lengths count characters. An automaton, where there is one, knows the shortest length, and small longest ones, too. Texts are valid UTF-8; escapes are those of
/// JSON (pairs of \u complete). With an automaton, only control characters may come as \u, so that a text has few spellings.
struct TextRule {
  uint32_t min = 0;
  uint32_t max = UINT32_MAX;
  std::shared_ptr<const TextAutomaton> automaton;

  enum class Step { kRefused, kInside, kEnd };

  TextCursor begin() const;
  /// `decoded`, where given, gets the characters that became complete.
  Step step(TextCursor& cursor, unsigned char byte, std::string* decoded) const;
  /// The closing quote may come.
  bool complete(const TextCursor& cursor) const;
  /// Any characters may come, in any number.
  bool free() const { return !automaton && max == UINT32_MAX; }
  bool holds(std::string_view utf8) const;
  /// How many texts can be completed from here; TextAutomaton::kMany where they cannot be counted up. `cursor` is between characters.
  uint64_t texts(const TextCursor& cursor) const;

 private:
  bool take(TextCursor& cursor, char32_t c, std::string* decoded) const;
  uint32_t room(const TextCursor& cursor) const;
  bool may(const TextCursor& cursor, char32_t low, char32_t high) const;
  Step step_escape(TextCursor& cursor, unsigned char byte, std::string* decoded) const;
  Step step_character(TextCursor& cursor, unsigned char byte, std::string* decoded) const;
};

}  // namespace hone::serve
