// An answer as it grows: what may be shown, and whether a stop string ended it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hone::infer {

/// Holds back what could still become part of a stop string.
class Output {
 public:
  explicit Output(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// Adds a piece. Returns what has become certain; `ended()` tells whether a stop string was met (nothing after it is ever returned).
  std::string push(std::string_view piece);
  /// What was held back, once nothing can follow.
  std::string finish(std::string_view rest);
  bool ended() const { return ended_; }
  const std::string& text() const { return text_; }

 private:
  std::string show(size_t end);
  std::vector<std::string> stops_;
  std::string text_;
  size_t shown_ = 0;
  bool ended_ = false;
};

}  // namespace hone::infer
