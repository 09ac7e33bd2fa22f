// Results of EleutherAI's lm-evaluation-harness.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hone::eval {

struct HarnessResult {
  std::string task, metric, filter;  // "hellaswag", "acc_norm", "none"
  double value = 0;
  std::optional<double> standard_error;
  std::optional<int64_t> shots;
  std::string version;  // of the task
};

struct HarnessResults {
  std::string model;  // as the file names it
  std::vector<HarnessResult> results;  // in the file's order of tasks
};

/// Reads a results_….json. Throws Error{kInvalidInput} naming what is missing or malformed; values that are no numbers ("N/A") are
/// left out.
HarnessResults read_harness_results(const std::filesystem::path& path);

}  // namespace hone::eval
