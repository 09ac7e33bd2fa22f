// One file of rows: where they are, what they mean, which side of the split they are on, what is wrong with them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/batch.h"
#include "data/format.h"
#include "data/input_file.h"
#include "data/loader.h"
#include "data/row_scanner.h"
#include "data/row_set.h"

namespace hone::data {

/// Where every row begins: 8 bytes per row, and the line number of one row in 64.
class RowIndex {
 public:
  void add(uint64_t begin, uint64_t line);
  /// `end` is the end of the last row.
  void finish(uint64_t end) { begin_.push_back(end); }

  uint64_t rows() const { return begin_.empty() ? 0 : begin_.size() - 1; }
  uint64_t begin(uint64_t row) const { return begin_[row]; }
  /// The begin of the next row: the row's own end lies before it, behind white space and a comma.
  uint64_t limit(uint64_t row) const { return begin_[row + 1]; }
  /// The line of `row`, counted from the nearest row whose line is kept.
  uint64_t line(uint64_t row, const InputFile& file) const;

 private:
  std::vector<uint64_t> begin_;
  std::vector<uint64_t> line_of_64th_;
};

/// A 64-bit hash of a row's bytes under a seed: the same on every machine.
uint64_t row_hash(std::string_view bytes, uint64_t seed);

/// Const functions may be called from several threads.
class Dataset {
 public:
  /// Passes over the file once. `number` is the dataset's place in SourceRow. A validation-only dataset has no training
  /// rows. Throws Error{kInvalidInput} when the file breaks, no format fits, or too many rows are malformed.
  Dataset(const DatasetConfig& dataset, const DataConfig& config, uint32_t number, bool validation_only);

  uint32_t number() const { return number_; }
  double weight() const { return weight_; }
  uint64_t rows() const { return index_.rows(); }
  uint64_t training_rows() const { return validation_.count_others(); }
  uint64_t validation_rows() const { return validation_.count(); }
  /// The k-th training or validation row, in file order.
  uint64_t training_row(uint64_t k) const { return validation_.select(k, /*member=*/false); }
  uint64_t validation_row(uint64_t k) const { return validation_.select(k, /*member=*/true); }
  bool is_training(uint64_t row) const { return !validation_.contains(row); }

  /// Bytes of the file that hold this row and what separates it from the next.
  uint64_t bytes(uint64_t row) const { return index_.limit(row) - index_.begin(row); }
  /// Reads and understands one row.
  std::optional<RowIssue> read(uint64_t row, Example& example) const;
  /// Reads one row as a JSON object (of strings, in CSV), whatever its format.
  std::optional<RowIssue> read_json(uint64_t row, Json& json) const;
  /// The row's own bytes, without what separates it from the next.
  std::string raw(uint64_t row) const;
  Container container() const { return container_; }
  /// "file:line".
  std::string where(uint64_t row) const;
  const RowFormat& format() const { return format_; }
  /// Throws Error{kIo} when the rows are no longer those that were scanned. A file that was only touched is accepted.
  void check_unchanged();
  /// Changes when a row is added, removed, moved or edited.
  uint64_t fingerprint() const { return fingerprint_; }

  /// A row known to give no sample; it is not read again.
  bool is_unusable(uint64_t row) const { return unusable_.contains(row); }
  /// Keeps the outcome of a row's first tokenisation; later calls for the same row change nothing. Throws
  /// Error{kInvalidInput} when the malformed rows become too many.
  void record(uint64_t row, const std::vector<Sample>& samples);
  void record(uint64_t row, RowIssue issue);
  const DatasetReport& report() const { return report_; }
  /// Rows whose first tokenisation was recorded, and rows found unusable before it.
  int64_t visited_rows() const { return visited_rows_; }

 private:
  void scan(const DatasetConfig& dataset, double validation_share);
  void settle(const DatasetConfig& dataset, const std::vector<Json>& first_rows);
  void scan_rows(RowSink on_row);
  void read_header(const RawRow& header);
  void understand(uint64_t row, uint64_t line, const Json& json);
  void count_sides();
  void note(uint64_t row, uint64_t line, RowIssue issue);
  [[noreturn]] void refuse_rows() const;
  std::optional<RowIssue> parse(std::string_view bytes, Json& row) const;

  InputFile file_;
  Container container_;
  char delimiter_ = 0;
  std::vector<std::string> header_;
  uint64_t max_row_bytes_, seed_, max_rows_;
  int max_nesting_;
  BadRowLimit limit_;
  double weight_;
  uint32_t number_;
  RoleNames roles_;
  RowFormat format_;
  RowIndex index_;
  RowSet validation_, unusable_, visited_;
  uint64_t fingerprint_ = 0;
  int64_t visited_rows_ = 0;
  DatasetReport report_;
};

}  // namespace hone::data
