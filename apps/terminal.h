// What the verbs of the store print: progress, sizes, times.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "store/model_store.h"

namespace hone::apps {

/// "106 MB", "1.5 GB": decimal units, as Ollama prints sizes.
std::string decimal_size(uint64_t bytes);
/// "About a minute ago", "3 days ago"; `when` in seconds since 1970.
std::string time_ago(int64_t when, int64_t now);
/// The same for this moment.
std::string time_ago(int64_t when);
/// "4 minutes from now".
std::string time_ahead(int64_t seconds);

/// Prints progress: one line that rewrites itself on a terminal, one line per status otherwise, JSON objects with `json`.
class ProgressPrinter {
 public:
  explicit ProgressPrinter(bool json);
  /// Ends the line.
  ~ProgressPrinter();
  void operator()(const store::Progress& progress);
  store::Watch watch();
  /// A line of its own: a status, or a note.
  void line(const std::string& text);

 private:
  void draw(const store::Progress& progress);
  bool json_, live_, open_ = false;
  std::string status_;
  uint64_t begun_at_ = 0;  // bytes that were there when the status began
  std::chrono::steady_clock::time_point begun_{}, drawn_{};
};

}  // namespace hone::apps
