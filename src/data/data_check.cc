#include "data/data_check.h"

#include <fmt/format.h>

#include <string>

#include "base/error.h"

namespace hone::data {
namespace {

void require(bool good, const char* key, const std::string& message, const char* hint = "") {
  if (!good) throw Error(ErrorCode::kInvalidInput, key, message, hint);
}

template <class Number>
void require_range(const char* key, Number value, Number low, Number high) {
  require(value >= low && value <= high, key, fmt::format("must be from {} to {}, found {}", low, high, value));
}

}  // namespace

void check_config(const DataConfig& config) {
  require(!config.datasets.empty(), "data", "no dataset is given", "name at least one file of rows");
  require_range<int64_t>("cutoff_length", config.cutoff_length, 2, 1 << 24);
  require_range<int64_t>("batch_size", config.batch_size, 1, 1 << 20);
  require_range<int64_t>("gradient_accumulation", config.gradient_accumulation, 1, 1 << 20);
  require_range<int64_t>("batch_size × cutoff_length", config.batch_size * config.cutoff_length, 2, (int64_t{1} << 31) - 1);
  require_range<int64_t>("pack_window", config.pack_window, 1, 1 << 20);
  require_range<int64_t>("max_row_bytes", config.max_row_bytes, 2, int64_t{1} << 30);
  require_range("max_nesting", config.max_nesting, 1, 1000);
  require(config.validation_share >= 0 && config.validation_share < 1, "validation_share",
          fmt::format("must be at least 0 and below 1, found {}", config.validation_share));
  const BadRowLimit& limit = config.max_bad_rows;
  const double most = limit.unit == BadRowLimit::Unit::kShare ? 1 : 1e15;
  require(limit.value >= 0 && limit.value <= most, "max_bad_rows",
          fmt::format("must be from 0 to {}, found {}", most, limit.value));
  for (const DatasetConfig& dataset : config.datasets) {
    require(dataset.weight > 0 && dataset.weight <= 1000, "weight",
            fmt::format("{}: must be above 0 and at most 1000, found {}", dataset.path, dataset.weight),
            "1 is every row once per epoch, 0.5 every other row, 2 every row twice");
  }
  for (const auto* list : {&config.datasets, &config.validation}) {
    for (const DatasetConfig& dataset : *list) {
      const char d = dataset.delimiter;
      require(d == 0 || d == ',' || d == ';' || d == '\t', "delimiter",
              fmt::format("{}: must be a comma, a semicolon or a tab", dataset.path));
    }
  }
}

void check_encoder(const Dataset& dataset, const Encoder& encoder) {
  const Format format = dataset.format().format;
  const std::string& path = dataset.report().path;
  const bool chat = format == Format::kMessages || format == Format::kAlpaca || format == Format::kShareGpt;
  if (chat && !encoder.has_chat_template()) {
    throw Error(ErrorCode::kInvalidInput, path,
                fmt::format("rows of the format {} need a chat template, and the model has none", name(format)),
                "name a chat template, or use prompt/completion or text rows");
  }
  if (format == Format::kPromptCompletion && !encoder.eos()) {
    throw Error(ErrorCode::kInvalidInput, path, "completions must end, and the tokenizer has no end-of-sequence token",
                "set the tokenizer's eos token");
  }
}

void check_usable(const Dataset& dataset, bool all) {
  const DatasetReport& report = dataset.report();
  if (report.samples > 0) return;
  const int64_t masked = report.problems.of(ProblemKind::kNothingSupervised);
  const int64_t dropped = report.problems.of(ProblemKind::kTooLong);
  const std::string rows = all ? fmt::format("the {} rows", report.rows) : "the rows tried, spread over the file,";
  if (masked > 0 && masked >= dropped) {
    throw Error(ErrorCode::kInvalidInput, report.path, fmt::format("all labels are masked: none of {} has a token to learn", rows),
                "the chat template marks no assistant words in them: look at the first sample with --dry-run, or set "
                "train_on: all");
  }
  throw Error(ErrorCode::kInvalidInput, report.path,
              fmt::format("none of {} gives a sample ({})", rows, report.problems.summary()),
              dropped > 0 ? "raise the cut-off length" : "correct the rows");
}

uint64_t fingerprint_of(const DataConfig& config, const std::vector<Dataset>& datasets) {
  std::string text = fmt::format("{} {} {} {} {} {} {} {} {} {}", config.seed, config.shuffle, config.cutoff_length,
                                 name(config.cut_off), name(config.train_on), config.packing, config.pack_window,
                                 config.validation_share, config.max_row_bytes, config.max_nesting);
  for (const Dataset& dataset : datasets) {
    const RowFormat& format = dataset.format();
    text += fmt::format("\n{} {} {} {}", dataset.fingerprint(), dataset.rows(), dataset.weight(), name(format.format));
    for (const auto& [canonical, column] : format.columns) text += fmt::format(" {}={}", canonical, column);
    for (const auto& [theirs, role] : format.roles) text += fmt::format(" role {}={}", theirs, role);
  }
  if (config.turns != TurnRules{})
    text += fmt::format("\n{} {} {}", name(config.turns.leading_assistant), name(config.turns.trailing_turns), name(config.turns.repeated_turns));
  return row_hash(text, config.datasets.size());
}

}  // namespace hone::data
