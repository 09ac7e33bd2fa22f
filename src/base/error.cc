#include "base/error.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace hone {
namespace {

std::string compose(const std::string& where, const std::string& message, const std::string& hint) {
  std::string text = where.empty() ? message : where + ": " + message;
  if (!hint.empty()) text += "\n  hint: " + hint;
  return text;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

Error::Error(ErrorCode code, std::string where, std::string message, std::string hint)
    : std::runtime_error(compose(where, message, hint)),
      code_(code),
      where_(std::move(where)),
      message_(std::move(message)),
      hint_(std::move(hint)) {}

int Error::exit_code() const {
  switch (code_) {
    case ErrorCode::kInvalidInput:
    case ErrorCode::kNotFound:
    case ErrorCode::kUnsupported:
      return 2;
    case ErrorCode::kInterrupted:
      return 130;
    case ErrorCode::kIo:
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kBusy:
    case ErrorCode::kInternal:
      return 1;
  }
  return 1;
}

std::string_view name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidInput: return "invalid input";
    case ErrorCode::kNotFound: return "not found";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kIo: return "input/output error";
    case ErrorCode::kOutOfMemory: return "out of memory";
    case ErrorCode::kBusy: return "busy";
    case ErrorCode::kInterrupted: return "interrupted";
    case ErrorCode::kInternal: return "internal error";
  }
  return "error";
}

std::string nearest(std::string_view word, const std::string* begin, const std::string* end) {
  const std::string* best = nullptr;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string* candidate = begin; candidate != end; ++candidate) {
    const size_t distance = edit_distance(word, *candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best ? *best : std::string{};
}

namespace detail {
void check_failed(const char* file, int line, const char* condition, std::string message) {
  throw Error(ErrorCode::kInternal, fmt::format("{}:{}", file, line),
              fmt::format("check failed: {}: {}", condition, message), "this is a bug in hone; please report it");
}
}  // namespace detail

}  // namespace hone
