// `hone train`: from a configuration to a tuned model on disk.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/loader.h"
#include "recipes/config.h"
#include "train/preflight.h"

namespace hone::recipes {

/// What is known before the first step.
struct TrainPlan {
  std::string run_id, run_folder, model;
  std::string architecture;  // "llama, 30 layers, width 576"
  std::string base_format;   // "Q4_1 blocks as stored"
  int64_t trainable_values = 0, frozen_values = 0, adapted_layers = 0;
  int64_t steps = 0;
  bool exact_steps = false;
  int64_t resumed_from = 0;  // step, 0 for a fresh run
  std::vector<std::string> notes;  // what a person should know: damaged checkpoints passed over, rows left out …
  train::MemoryPlan memory;
  uint64_t available_memory = 0;
  std::vector<std::string> memory_advice;  // what would make it fit; empty when it fits
  bool room_helps = false;  // the run pays for having little memory (gradient checkpointing, rows cut or left out as too long)
  data::DataReport data;
  std::optional<data::Preview> sample;
  std::string resolved;  // configuration as YAML
  Bands bands;           // of its alarms
  double peak_rate = 0;  // learning rate at the schedule's top
};

struct StepReport {
  int64_t step = 0, steps = 0;  // step counts from 1
  double epoch = 0;
  double loss = 0, smoothed = 0, grad_norm = 0, learning_rate = 0;
  double rate_factor = 1;  // on the schedule, from the panel
  double tokens_per_second = 0, seconds_left = 0;
  uint64_t memory = 0;  // resident bytes
};

struct ValidationReport {
  int64_t step = 0;
  double loss = 0, accuracy = 0;  // accuracy: labels that were the most likely token
  bool best = false;
};

struct TrainSummary {
  std::string status;  // "done", "stopped early", "interrupted"
  int64_t step = 0, skipped = 0, rollbacks = 0;
  double first_loss = 0, last_loss = 0;  // smoothed; the first of the whole run, also when it was resumed
  std::optional<double> best_validation;
  int64_t best_step = 0;
  int64_t tokens = 0;
  double seconds = 0, tokens_per_second = 0;  // of all sessions together
  double seconds_to_first_step = 0;           // of this one
  uint64_t peak_memory = 0;                   // of the session that took most
  std::string best_folder, curve;
};

/// Sees a run as it goes. Called on the training thread.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_plan(const TrainPlan&) {}
  virtual void on_step(const StepReport&) {}
  virtual void on_validation(const ValidationReport&) {}
  /// kind: "checkpoint", "skipped", "rollback", "early stop", "interrupted", "alarm", "hint", "webhook", "learning rate", "sample"
  virtual void on_event(int64_t step, const std::string& kind, const std::string& text) = 0;
};

struct TrainOptions {
  bool dry_run = false;    // plan, then stop
  bool resume = false;     // continue from the newest whole checkpoint
  bool overwrite = false;  // start again in a folder that holds a run
  std::function<bool()> interrupted;  // asked often; true ends the run after saving
  std::function<bool()> save_now;     // asked after every step; true saves a checkpoint
  /// Asked after every step: a new factor on the schedule's learning rate, from the next step on. It is kept in the checkpoints. Refused
  /// (with an event) when it is not above 0 or the peak would exceed kMaxLearningRate.
  std::function<std::optional<double>()> new_rate_factor;
};

/// Trains. Throws Error; an interrupt is reported in the summary, not thrown.
TrainSummary train_model(const Config& config, const TrainOptions& options, TrainObserver& observer);

}  // namespace hone::recipes
