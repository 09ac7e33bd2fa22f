// A regular expression from a model's file, run by PCRE2 within limits.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/function_ref.h"

namespace hone::text {

/// What \w means in the `regex` crate, with which the reference cuts at words: the members of a character class.
inline constexpr const char* kRustWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D})";

class Pattern {
 public:
  /// `regex` in Oniguruma's dialect, Unicode mode. Throws Error{kInvalidInput} naming `where`, the place in the pattern, and why
  /// it does not compile; Error{kUnsupported} for a construct that is not translated (regex_dialect.h).
  Pattern(const std::string& regex, const std::string& where);
  /// Exactly this text.
  static Pattern literal(std::string_view text, const std::string& where);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  /// Calls fn(begin, end) for each match, leftmost first, not overlapping; empty matches are passed over. `text` must be
  /// well-formed UTF-8. Throws Error{kInvalidInput} when matching takes more steps or time than any sane pattern needs.
  /// Thread-safe.
  void each_match(std::string_view text, FunctionRef<void(size_t begin, size_t end)> fn) const;
  /// The expression, or the text, it was made of.
  const std::string& source() const;

 private:
  struct Impl;
  explicit Pattern(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone::text
