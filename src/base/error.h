// The one exception type that hone throws at its boundaries, and the check for programmer errors.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace hone {

/// Why an operation failed. The command's exit code follows from it (see exit_code).
enum class ErrorCode {
  kInvalidInput,  // a file, a config or an argument is malformed
  kNotFound,      // something named does not exist
  kUnsupported,   // well-formed, but not handled by this version
  kIo,            // the operating system refused a read or a write
  kOutOfMemory,   // a size was refused before or at allocation
  kBusy,          // a limit on open work is reached; later it may succeed
  kInterrupted,   // Ctrl-C or SIGTERM
  kInternal,      // a bug in hone
};

/// An error with its place and its remedy: what was expected and found (message), where (file, line, key, tensor), and
/// what to do next (hint, may be empty).
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string where, std::string message, std::string hint = {});

  ErrorCode code() const { return code_; }
  const std::string& where() const { return where_; }
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }

  /// 2 for bad input, 130 for an interrupt, 1 for everything else.
  int exit_code() const;

 private:
  ErrorCode code_;
  std::string where_, message_, hint_;
};

/// "invalid input", "not found", … for people and for JSON output.
std::string_view name(ErrorCode code);

/// Levenshtein-nearest candidate to `word`, or an empty string when none is close; for "did you mean …?" hints.
std::string nearest(std::string_view word, const std::string* begin, const std::string* end);

template <class Strings>
std::string nearest(std::string_view word, const Strings& candidates) {
  return nearest(word, candidates.data(), candidates.data() + candidates.size());
}

namespace detail {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, std::string message);
}

}  // namespace hone

/// Programmer errors only (never for bytes from outside): throws Error{kInternal} naming file and line.
#define HONE_CHECK(condition, ...)                                                                    \
  do {                                                                                                \
    if (!(condition)) ::hone::detail::check_failed(__FILE__, __LINE__, #condition, fmt::format(__VA_ARGS__)); \
  } while (0)
