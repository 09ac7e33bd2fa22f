// Several files as one sequence of rows, and a parallel pass over them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace hone::data {

/// A row, read: its example, and the object it came from.
struct ReadRow {
  uint32_t number = 0;  // in the whole sequence
  Json json;
  Example example;
};

/// Const functions may be called from several threads.
class Rows {
 public:
  /// Passes over every file once. Throws Error{kInvalidInput} for a file that breaks, in which no format is found, or with more malformed rows
  /// than `allowed`, and when there are more than 2³¹ rows in all.
  Rows(const std::vector<DatasetConfig>& files, BadRowLimit allowed, const TurnRules& turns = {});

  uint32_t size() const { return begin_.back(); }
  const std::vector<Dataset>& files() const { return files_; }
  size_t file_of(uint32_t row) const;
  /// The first row of a file in the sequence.
  uint32_t begin(size_t file) const { return begin_[file]; }
  /// False for a malformed row.
  bool usable(uint32_t row) const;
  /// Reads a usable row; throws Error{kIo} when it is no longer what it was.
  void read(uint32_t row, ReadRow& to) const;
  /// The row's own bytes.
  std::string raw(uint32_t row) const;
  /// "file:line".
  std::string where(uint32_t row) const;

  /// Calls work(row, block) for every usable row in `blocks()` blocks of consecutive rows, blocks in parallel; rows of a block in order. Whatever work writes must belong
  /// to its row or its block. `stop` ends it early by Error{kInterrupted}.
  void each(const std::function<void(const ReadRow& row, size_t block)>& work, const std::function<bool()>& stop = {}) const;
  size_t blocks() const;

 private:
  std::vector<Dataset> files_;
  std::vector<uint32_t> begin_ = {0};
};

}  // namespace hone::data
