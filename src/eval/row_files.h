// Predictions and references from files, row by row.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/metric.h"

namespace hone::eval {

/// Reads a text file (every line is a row, also an empty one) or JSON lines (.jsonl, .ndjson; blank lines are skipped) of predictions
/// together with the same number of rows of references: one file or several, or none when the predictions' own rows hold them.
/// A JSON row is a string, an array (of tags, or of references), or an object with
///   prediction | answer | found | output | text, or tags                   in a file of predictions,
///   (and an id, or item, under which people have rated it),
///   references | reference | expected | label | text | completion, or tags  in a file of references.
/// Memory does not grow with the files. Every error names file and line.
class RowReader {
 public:
  static constexpr uint64_t kMaxRowBytes = uint64_t{16} << 20;

  RowReader(const std::filesystem::path& predictions, const std::vector<std::filesystem::path>& references);
  ~RowReader();
  RowReader(RowReader&&) noexcept;

  /// The next row; nothing at the end. Throws Error{kInvalidInput} when a row is malformed or the files differ in length.
  std::optional<ScoredRow> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether the first row holds tags instead of text.
bool holds_tags(const std::filesystem::path& predictions);

}  // namespace hone::eval
