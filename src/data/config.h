// Everything the data layer can be told. Plain fields: the config layer fills them, Loader checks them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace hone::data {

/// How rows lie in a file. kAuto goes by the extension (.jsonl, .ndjson, .csv, .tsv) and, for .json and unknown ones, by
/// the first bytes.
enum class Container { kAuto, kJsonl, kJson, kCsv };

/// What a row holds. kAuto decides from the keys of the first rows (docs/data.md lists the keys and their precedence).
enum class Format { kAuto, kMessages, kAlpaca, kShareGpt, kPromptCompletion, kText };

/// Which tokens carry a label. kAssistant: the assistant's words of a chat, the completion of a prompt/completion pair;
/// kLast: of a chat only the last answer; kAll: every token. Plain text is always trained on whole.
enum class TrainOn { kAssistant, kLast, kAll };

/// What happens to a sample longer than the cut-off length.
/// kTruncatePromptStart: tokens go from the prompt's start; the last answer is never cut, and a sample whose last answer
/// does not fit is dropped and counted. Plain text is split into chunks instead, so nothing of it is lost.
/// kDrop: the sample is dropped and counted. kRefuse: Error{kInvalidInput} naming file and line.
enum class CutOffPolicy { kTruncatePromptStart, kDrop, kRefuse };

/// What happens to a conversation's edges that no client would send or learn from: an assistant's turns before the first
/// user's, and turns after the last assistant's. kKeep: rendered as they are (an answer before any question is learned like
/// every other); kTrim: cut off; kDrop: the row is left out and counted.
enum class EdgeTurns { kKeep, kTrim, kDrop };

/// What happens to two turns of one role in a row. kKeep: rendered as two turns, as requests with them are; kMerge: joined by
/// an empty line; kDrop: the row is left out and counted.
enum class RepeatedTurns { kKeep, kMerge, kDrop };

struct TurnRules {
  EdgeTurns leading_assistant = EdgeTurns::kKeep, trailing_turns = EdgeTurns::kTrim;
  RepeatedTurns repeated_turns = RepeatedTurns::kKeep;

  bool operator==(const TurnRules&) const = default;
};

std::string_view name(Container value);
std::string_view name(Format value);
std::string_view name(TrainOn value);
std::string_view name(CutOffPolicy value);
std::string_view name(EdgeTurns value);
std::string_view name(RepeatedTurns value);

/// The inverse of name(), with the usual aliases ("sft", "openai" …: see docs/data.md). Throws Error{kInvalidInput}
/// (where = `where`, hint = nearest known name) for any other word.
Container parse_container(std::string_view word, std::string_view where);
Format parse_format(std::string_view word, std::string_view where);
TrainOn parse_train_on(std::string_view word, std::string_view where);
CutOffPolicy parse_cut_off_policy(std::string_view word, std::string_view where);
EdgeTurns parse_edge_turns(std::string_view word, std::string_view where);
RepeatedTurns parse_repeated_turns(std::string_view word, std::string_view where);

/// One file of rows.
struct DatasetConfig {
  std::string path;
  Container container = Container::kAuto;
  Format format = Format::kAuto;
  /// Canonical column → the file's own column, e.g. {"instruction", "question"}. A canonical name the format does not
  /// have is an error.
  std::map<std::string, std::string> columns;
  char delimiter = 0;  // CSV: ',', ';' or tab; 0 finds it from the header line
  /// Passes over this dataset per epoch: 1 is every row once, 2 every row twice, 0.25 a quarter of the rows, a different
  /// quarter in each epoch until all were seen. Must be > 0 and ≤ 1000.
  double weight = 1;
  /// The file's own name of a role → system, user, assistant, tool or function_call; beside the names that are known anyway.
  std::map<std::string, std::string> roles = {};
  int64_t max_rows = 0;  // only the first so many; 0: DataConfig::max_rows
};

/// How many malformed rows a dataset may have before it is refused: a share of its rows, or a number.
struct BadRowLimit {
  enum class Unit { kShare, kCount };
  Unit unit = Unit::kShare;
  double value = 0.01;

  /// The greatest number of bad rows that is still accepted in a dataset of `rows` rows.
  int64_t allowed(int64_t rows) const;
};

/// "1%", "0.01" (a number with a point, at most 1: a share) or "100" (a count). Throws Error{kInvalidInput}.
BadRowLimit parse_bad_row_limit(std::string_view word, std::string_view where);

struct DataConfig {
  std::vector<DatasetConfig> datasets;    // at least one
  std::vector<DatasetConfig> validation;  // files used for validation only; weights are ignored
  /// Share of every training dataset's rows set aside for validation, in [0, 1). A row's side depends on the seed and on
  /// its own bytes alone: adding or removing rows moves no other row, and equal rows are always on the same side.
  double validation_share = 0;
  uint64_t seed = 0;
  bool shuffle = true;
  int64_t cutoff_length = 2048;  // tokens per packed row, and per sample; ≥ 2
  CutOffPolicy cut_off = CutOffPolicy::kTruncatePromptStart;
  TrainOn train_on = TrainOn::kAssistant;
  TurnRules turns;
  /// true: samples share rows of at most cutoff_length tokens; false: one sample is one row.
  bool packing = true;
  int64_t batch_size = 1;             // rows per micro-batch
  int64_t gradient_accumulation = 1;  // micro-batches per optimizer step
  int64_t pack_window = 512;          // samples looked at together when packing
  int64_t max_rows = 0;  // of every file only the first so many; 0: all
  BadRowLimit max_bad_rows;
  int64_t max_row_bytes = 16 << 20;  // a longer row is malformed
  int max_nesting = 64;              // a deeper row is malformed
  /// Tokenised samples are kept in memory up to this many bytes; the rest is tokenised again at each visit.
  int64_t token_cache_bytes = 256 << 20;
  /// Datasets of up to this many bytes in all are tokenised before training, so that every problem is known and the
  /// number of steps exact; above it, rows are tokenised when their turn comes and the number of steps is an estimate.
  int64_t measure_bytes = 64 << 20;
};

}  // namespace hone::data
