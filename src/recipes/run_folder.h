// One training run's folder and history: metrics, events, results.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "recipes/train.h"
#include "runs/run_store.h"

namespace hone::recipes {

/// RUN/config.yaml, RUN/metrics.jsonl, RUN/loss.svg, and the run's rows in the history.
class RunFolder {
 public:
  /// Starts (or continues at `resumed_step` > 0) the record of a run in an existing folder.
  RunFolder(std::filesystem::path folder, const std::string& config_yaml, int64_t resumed_step);
  ~RunFolder();

  const std::string& id() const { return id_; }
  void add(const StepReport& report);
  void add(const ValidationReport& report);
  void add_event(int64_t step, const std::string& kind, const std::string& text);
  /// Draws RUN/loss.svg and closes the record; returns the picture's path.
  std::string finish(const TrainSummary& summary);
  /// Marks the run as failed; never throws.
  void fail(int64_t step, const std::string& message) noexcept;

 private:
  void append(const std::string& line);
  std::filesystem::path folder_;
  runs::RunStore store_;
  std::string id_;
  int file_ = -1;
};

}  // namespace hone::recipes
