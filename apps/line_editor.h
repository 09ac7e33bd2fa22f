// Lines from a terminal, with editing, history and pasted text.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace hone::apps {

class LineEditor {
 public:
  enum class Outcome { kLine, kInterrupted, kEnd };

  /// `history`: a file that lines are kept in, for this user alone; empty: they are kept for this run only. `stop` is asked while read()
  /// waits: true ends it.
  LineEditor(std::filesystem::path history, std::function<bool()> stop);
  ~LineEditor();

  /// Waits for a line on standard input, without its end. Pasted line breaks belong to it. kInterrupted: `stop` said so; kEnd: Ctrl-D on an empty line, or the terminal is gone.
  Outcome read(const char* prompt, std::string& line);
  /// Adds a line to the history.
  void remember(const std::string& line);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone::apps
