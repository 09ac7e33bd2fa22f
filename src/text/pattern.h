// A regular expression from a model's file, run by PCRE2 within limits.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace hone::text {

class Pattern {
 public:
  /// Unicode mode. Throws Error{kInvalidInput} naming `where`, the place in the pattern, and why it does not compile.
  Pattern(const std::string& regex, const std::string& where);
  /// Exactly this text.
  static Pattern literal(std::string_view text, const std::string& where);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  /// Calls fn(begin, end) for each match, leftmost first, not overlapping; empty matches are passed over. `text` must be
  /// well-formed UTF-8. Throws Error{kInvalidInput} when the match limit is hit. Thread-safe.
  void each_match(std::string_view text, const std::function<void(size_t begin, size_t end)>& fn) const;
  /// The expression it was made of.
  const std::string& source() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone::text
