#include "infer/output.h"

#include <algorithm>

namespace hone::infer {
namespace {

// Bytes at the end of `text` that could be the beginning of a stop string.
size_t held_back(std::string_view text, const std::vector<std::string>& stops) {
  size_t held = 0;
  for (const std::string& stop : stops)
    for (size_t n = std::min(stop.size(), text.size()); n > held; --n)
      if (text.substr(text.size() - n) == std::string_view(stop).substr(0, n)) {
        held = n;
        break;
      }
  return held;
}

size_t first_stop(std::string_view text, size_t from, const std::vector<std::string>& stops) {
  size_t first = std::string_view::npos;
  for (const std::string& stop : stops)
    if (!stop.empty()) first = std::min(first, text.find(stop, from));
  return first;
}

}  // namespace

std::string Output::show(size_t end) {
  std::string certain = end > shown_ ? text_.substr(shown_, end - shown_) : std::string();
  shown_ = std::max(shown_, end);
  return certain;
}

std::string Output::push(std::string_view piece) {
  if (ended_) return {};
  text_ += piece;
  // What was shown holds no beginning of a stop string that goes on here.
  if (const size_t stop = first_stop(text_, shown_, stops_); stop != std::string::npos) {
    text_.resize(stop);
    ended_ = true;
    return show(stop);
  }
  return show(text_.size() - held_back(std::string_view(text_).substr(shown_), stops_));
}

std::string Output::finish(std::string_view rest) {
  std::string certain = push(rest);
  if (!ended_) certain += show(text_.size());
  return certain;
}

}  // namespace hone::infer
