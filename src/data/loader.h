// The data layer's front door: files of rows in, optimizer steps out.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/config.h"
#include "data/encoder.h"
#include "data/problem.h"

namespace hone::data {

/// Where a loader stands: enough to continue exactly, together with the same config and files (`fingerprint` proves it).
struct LoaderState {
  uint64_t epoch = 0;
  uint64_t position = 0;  // in the epoch's order: first row of the window that is being packed
  uint64_t row = 0;       // packed rows already taken from that window
  uint64_t fingerprint = 0;

  bool operator==(const LoaderState&) const = default;
};

/// What was found in one file.
struct DatasetReport {
  std::string path;
  Container container{};
  Format format{};
  int64_t bytes = 0, rows = 0, training_rows = 0, validation_rows = 0;
  /// Of training_rows and validation_rows, those known to give no sample are not counted.
  ProblemTally problems;
  /// Rows whose turns were changed or are unusual, as TurnRules say.
  int64_t leading_assistant = 0, trailing_turns = 0, repeated_turns = 0;
  TurnRules turns;
  /// Fields that are neither read nor known → rows that have them; the first kMostFields names.
  std::map<std::string, int64_t> unknown_fields;
  static constexpr size_t kMostFields = 32;
  // Known for measured datasets (see DataReport::measured); otherwise of the rows visited so far.
  int64_t samples = 0, tokens = 0, supervised_tokens = 0, truncated = 0, longest = 0;
  int64_t learned_turns = 0, reasoned_turns = 0;  // of assistants that are learned; of them with reasoning
};

struct DataReport {
  std::vector<DatasetReport> datasets;  // DataConfig::datasets, then DataConfig::validation
  bool measured = false;                // every row was tokenised before training

  int64_t training_rows() const;
  int64_t validation_rows() const;
};

/// One token of a previewed sample.
struct PreviewToken {
  int32_t id = 0;
  std::string text;
  bool supervised = false;
};

struct Preview {
  std::string where;  // "file:line"
  bool truncated = false;
  std::vector<PreviewToken> tokens;
};

struct StepCount {
  int64_t steps = 0;
  bool exact = false;
};

/// Yields micro-batches of the validation rows in file order, once.
class ValidationPass {
 public:
  virtual ~ValidationPass() = default;
  /// Fills `batch` and returns true, or returns false at the end. At most batch_size rows of cutoff_length each.
  virtual bool next(MicroBatch& batch) = 0;
};

/// Reads, checks, splits, shuffles, tokenises, packs and batches. The constructor passes once over every file (index,
/// every row checked, format found) and throws Error{kInvalidInput} for anything a run should not start with: too many
/// malformed rows, no usable row, nothing supervised, a format that cannot be found. Memory: 8 bytes and a few bits per
/// row (4 bytes more when measured), the token cache, and one packing window. Not thread-safe.
class Loader {
 public:
  Loader(DataConfig config, std::shared_ptr<const Encoder> encoder);
  ~Loader();
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;

  /// The next optimizer step. Epochs follow one another without end; no step spans two. Never returns an empty step.
  StepBatch next();

  /// The state before the next step. restore() throws Error{kInvalidInput} when files or config have changed.
  LoaderState state() const;
  void restore(const LoaderState& state);

  /// Optimizer steps in one epoch: exact when the data was measured (epochs may differ by a few when packing), else an
  /// estimate from the first rows.
  StepCount steps_in_epoch(uint64_t epoch) const;

  /// A fresh pass over the validation rows, independent of next(); nullptr when there are none. It must not outlive the
  /// loader.
  std::unique_ptr<ValidationPass> validation();

  /// About what samples that were not tokenised yet will add to memory: nothing when the data was measured, and never more
  /// than the token cache has left.
  uint64_t cache_bytes_to_come() const;

  const DataConfig& config() const;
  /// Counts so far; rows not measured in advance are added as they are visited.
  DataReport report() const;
  /// The first training sample of the first epoch (`index` 0), the second, …; nullopt past the end.
  std::optional<Preview> preview(int64_t index);
  /// "file:line" of a row, for messages.
  std::string describe(const SourceRow& source) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone::data
