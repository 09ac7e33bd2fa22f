// Regular expressions that other people's settings files hold, matched against names of modules.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace hone {

/// An expression as Python's `re` reads it, run by PCRE2 within limits on steps, depth and memory.
class NamePattern {
 public:
  /// Throws Error{kInvalidInput} naming `where` and the place in the pattern that does not compile, Error{kUnsupported} for what
  /// Python and PCRE2 read differently ("{,3}", "[[:").
  NamePattern(const std::string& regex, const std::string& where);
  /// "(.*\.)?(suffix)": how PEFT looks a module up in rank_pattern and alpha_pattern.
  static NamePattern suffix(const std::string& regex, const std::string& where);

  /// re.fullmatch. Throws Error{kInvalidInput} when matching takes more steps than any sane pattern needs.
  bool matches(std::string_view name) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace hone
