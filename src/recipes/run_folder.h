// One training run's folder and history: metrics, events, results.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "recipes/answers.h"
#include "recipes/tensorboard.h"
#include "recipes/train.h"
#include "runs/run_store.h"

namespace hone::recipes {

/// RUN/config.yaml, RUN/metrics.jsonl, RUN/samples.jsonl, RUN/tensorboard/, RUN/loss.svg, and the run's rows in the history.
class RunFolder {
 public:
  /// Starts (or continues at `resumed_step` > 0) the record of a run in an existing folder.
  RunFolder(std::filesystem::path folder, const Config& config, const std::string& config_yaml, int64_t resumed_step);
  ~RunFolder();

  const std::string& id() const { return id_; }
  void add(const StepReport& report);
  void add(const ValidationReport& report);
  void add_event(int64_t step, const std::string& kind, const std::string& text);
  /// One line per answer.
  void add_samples(int64_t step, const std::vector<Question>& questions, const std::vector<std::string>& answers);
  /// What earlier sessions of the run found, as its metrics.jsonl says; nothing of a run that begins.
  struct Before {
    std::optional<double> first_loss;  // smoothed
    uint64_t peak_memory = 0;          // resident after a step
  };
  const Before& before() const { return before_; }
  /// Whether the samples of the step at which the run goes on are there already.
  bool has_samples() const { return has_samples_; }
  /// Draws RUN/loss.svg and closes the record; returns the picture's path.
  std::string finish(const TrainSummary& summary);
  /// Marks the run as failed; never throws.
  void fail(int64_t step, const std::string& message) noexcept;

 private:
  void add_line(const nlohmann::ordered_json& metrics);
  std::filesystem::path folder_;
  runs::RunStore store_;
  std::string id_;
  int metrics_ = -1, samples_ = -1;
  bool has_samples_ = false;
  Before before_;
  std::optional<EventFile> tensorboard_;
};

}  // namespace hone::recipes
