// Checkpoints: folders that are either whole and verified, or not there.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "data/loader.h"
#include "optim/adamw.h"

namespace hone::train {

using Parameters = std::vector<std::shared_ptr<autograd::Leaf>>;

/// Everything besides weights and moments that the next step depends on, or that the report of the run shows.
struct TrainState {
  int64_t step = 0;             // optimizer steps behind it, skipped ones included
  int64_t tokens = 0;           // that passed through the model
  int64_t supervised = 0;       // that carried a label
  double seconds = 0;           // of training, over all sessions
  double smoothed_loss = 0;     // exponential average; meaningful when step > 0
  double best_loss = 0;         // meaningful when has_best
  bool has_best = false;
  int64_t best_step = 0;
  int64_t since_best = 0;       // evaluations (or steps) without a new best
  int64_t skipped = 0;          // updates dropped for a non-finite loss or gradient
  int64_t skipped_in_row = 0;
  int64_t rollbacks = 0;
  bool validation_due = false;  // a validation belongs to this step and has not been made yet
  int64_t validated_step = -1;  // of the last validation
  double rate_factor = 1;       // on the schedule's learning rate, changed while the run goes
  data::LoaderState loader;     // before the next step
};

/// The checkpoints of one run: RUN/checkpoints/step-00000120. Each holds weights.safetensors (the trained parameters),
/// optimizer.safetensors (both moments; none while they are zero, before the first update), state.json, and manifest.json with the
/// SHA-256 of the others, written last. A folder is filled under a temporary name, synced, then renamed, so a killed process leaves
/// no half checkpoint.
class CheckpointStore {
 public:
  /// Creates RUN/checkpoints and removes what an interrupted save left there.
  CheckpointStore(const std::filesystem::path& run_folder, int64_t keep);

  /// What one checkpoint of these parameters takes on disk.
  static uint64_t checkpoint_bytes(const Parameters& parameters);

  /// Saves, reads the files back against their hashes, then removes all but the newest `keep`. Returns the folder. Throws
  /// Error{kIo} (disk full, no permission); older checkpoints are then untouched.
  std::filesystem::path save(const TrainState& state, const Parameters& parameters, const optim::AdamW& optimizer);

  /// The newest checkpoint whose files match its manifest, and why newer ones were passed over.
  struct Found {
    std::filesystem::path folder;
    std::vector<std::string> damaged;  // "step-00000120: weights.safetensors differs from its manifest"
  };
  std::optional<Found> newest_good() const;

  /// Restores parameters, optimizer and state from a folder of newest_good(). Throws Error{kInvalidInput} or {kNotFound}
  /// naming file and tensor when they do not fit this run.
  static TrainState load(const std::filesystem::path& folder, const Parameters& parameters, optim::AdamW& optimizer);

 private:
  std::vector<std::filesystem::path> folders() const;  // newest first
  std::filesystem::path root_;
  int64_t keep_;
};

/// An empty folder at `path`, whatever was there before. Throws Error{kIo}.
void fresh_folder(const std::filesystem::path& path);

/// Replaces the folder `target` by the folder `fresh` in one step (exchange, where the file system can), so that a reader sees
/// the old or the new one.
void replace_folder(const std::filesystem::path& fresh, const std::filesystem::path& target);

/// Held while a process writes a run's folder. Throws Error{kInvalidInput} when another process holds it.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& run_folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace hone::train
