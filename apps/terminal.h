// What verbs print on a terminal: lines that fit it, progress, sizes, times.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>
#include <unistd.h>

#include "store/model_store.h"
#include "text/columns.h"

namespace hone::apps {

/// Columns of the terminal that `file` is, asked for again whenever they may have changed (SIGWINCH); 0 where it is none: there nothing
/// is cut or wrapped.
int64_t terminal_columns(int file = STDOUT_FILENO);
/// `text` for standard output: wrapped at words on a terminal, lines after the first hanging under column `indent`.
std::string wrapped_line(const std::string& text, int64_t indent);

/// One line of a terminal that is drawn again and again in its place.
class LiveLine {
 public:
  /// In place of what was there; fields by rank, as many as fit.
  void draw(std::vector<text::LineField> fields);
  /// Once more, if the terminal has another width now. For the thread that draws.
  void refresh();
  /// Goes on below the line.
  void end();
  /// Takes the line away.
  void clear();

 private:
  void erase() const;
  std::vector<text::LineField> fields_;
  int64_t drawn_ = 0, width_ = 0;  // columns of the line, and of the terminal then
  bool open_ = false;
};

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
  bool json_, live_;
  LiveLine line_;
  std::string status_;
  uint64_t begun_at_ = 0;  // bytes that were there when the status began
  std::chrono::steady_clock::time_point begun_{}, drawn_{};
};

}  // namespace hone::apps
