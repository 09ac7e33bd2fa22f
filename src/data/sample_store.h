// Tokenised samples of any row on demand: from memory where they fit, else tokenised again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "data/config.h"
#include "data/dataset.h"
#include "data/encoder.h"
#include "data/sample_builder.h"

namespace hone::data {

/// The samples of one row; empty where the row gives none.
using RowSamples = std::shared_ptr<const std::vector<Sample>>;

class SampleStore {
 public:
  SampleStore(std::vector<Dataset>& datasets, const DataConfig& config, const Encoder& encoder);

  /// The samples of each of `rows`, tokenised on all threads where they are not in memory. Outcomes are recorded with the
  /// datasets in the order of `rows`. Throws Error{kInvalidInput} for a row that the cut-off policy refuses, or when
  /// malformed rows become too many.
  std::vector<RowSamples> get(std::span<const SourceRow> rows);
  /// Bytes that more samples may still take in memory.
  int64_t memory_left() const { return memory_left_; }
  /// Rows that may be asked for at once: as many from the front of `rows` as hold at most 8 MiB in the file, at least one.
  size_t affordable(std::span<const SourceRow> rows) const;

  const DataConfig& config() const { return config_; }
  const std::vector<Dataset>& datasets() const { return datasets_; }

 private:
  struct KeyHash {
    size_t operator()(const SourceRow& row) const { return (row.row << 6 | row.dataset) * 0x9E3779B97F4A7C15u; }
  };
  void keep(const SourceRow& row, const RowSamples& samples);

  std::vector<Dataset>& datasets_;
  const DataConfig& config_;
  const Encoder& encoder_;
  CutRules rules_;
  // Filled until full and never emptied: an epoch visits every row once, so what was used last is wanted last.
  std::unordered_map<SourceRow, RowSamples, KeyHash> memory_;
  int64_t memory_left_;
};

}  // namespace hone::data
