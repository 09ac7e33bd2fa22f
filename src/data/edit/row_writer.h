// New files of rows: whole or absent, never in the place of an input.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/config.h"
#include "data/row_json.h"
#include "data/rows.h"
#include "io/atomic_file.h"

namespace hone::data {

/// Throws Error{kInvalidInput} when `output` is one of the inputs, by whatever name or link, or exists and `overwrite` is false.
void check_output(const std::string& output, const std::vector<std::string>& inputs, bool overwrite);

/// jsonl, json or csv by the extension of `path`. Throws Error{kInvalidInput} for another one.
Container container_for(const std::string& path);

/// Writes rows one after another. The file appears with finish(); without it nothing is left behind.
class RowWriter {
 public:
  /// `columns` are those of a CSV file, in order; other containers take rows of any keys.
  RowWriter(const std::string& path, std::vector<std::string> columns);

  Container container() const { return container_; }
  void write(const Json& row);
  /// A row that is one line of JSON already; only for jsonl.
  void write_line(std::string_view line);
  int64_t rows() const { return rows_; }
  void finish();

 private:
  void write_csv(const Json& row);

  io::AtomicFile file_;
  Container container_;
  char delimiter_ = ',';
  std::vector<std::string> columns_;
  int64_t rows_ = 0;
};

/// Writes one row as it is: byte for byte from jsonl to jsonl.
void copy_row(const Rows& rows, uint32_t row, RowWriter& writer);

/// The columns a CSV file of such rows has: those of the format, by the names of the file, and then the other keys of the first usable row.
std::vector<std::string> columns_of(const Rows& rows, size_t file);

}  // namespace hone::data
