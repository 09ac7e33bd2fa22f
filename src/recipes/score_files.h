// `hone eval --predictions`: the metrics of files, without any model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "eval/report.h"
#include "recipes/config.h"

namespace hone::recipes {

struct ScoreFilesOptions {
  std::filesystem::path predictions;               // .txt or .jsonl, see eval::RowReader
  std::vector<std::filesystem::path> references;   // none: the predictions' own rows hold them
  std::filesystem::path against;                   // predictions of another model for the same references; empty: none
  std::string name, against_name;                  // of the models; empty: the files' names
  std::filesystem::path ratings;                   // people's ratings; empty: none
  std::vector<std::filesystem::path> harness;      // results of lm-evaluation-harness to show beside
};

/// Throws Error{kInvalidInput} naming file and line of what is malformed.
eval::Report score_files(const Config& config, const ScoreFilesOptions& options);

/// A report of lm-evaluation-harness results alone.
eval::Report import_harness(const std::vector<std::filesystem::path>& files);

}  // namespace hone::recipes
