// One pass over a file that finds where its rows begin and end, without parsing them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "data/config.h"
#include "data/input_file.h"

namespace hone::data {

/// One row as it lies in the file, without the white space or comma that follows it.
struct RawRow {
  uint64_t begin = 0, end = 0;  // bytes [begin, end) of the file
  uint64_t line = 0;            // 1-based line of `begin`
  bool too_large = false;       // more than max_row_bytes: `bytes` holds only the first of them
  std::string_view bytes;       // valid during the call only
};

using RowSink = FunctionRef<void(const RawRow&)>;

/// What `container` = kAuto means for this file: by extension, else by its first bytes. Throws Error{kInvalidInput}.
Container detect_container(const InputFile& file);

/// One row per line; blank lines are skipped, CRLF and CR are accepted (InputFile::line_end).
void scan_jsonl(const InputFile& file, uint64_t max_row_bytes, RowSink on_row);

/// The elements of a top-level array, or of the array under "data" of a top-level object. Memory does not grow with the
/// file. Throws Error{kInvalidInput} naming the line where the structure around the elements breaks, since no row can be
/// trusted after it.
void scan_json(const InputFile& file, uint64_t max_row_bytes, RowSink on_row);

/// Records as Python's csv module finds them, the header record first: outside quotes CR, LF and CRLF end one. Empty lines
/// are skipped. Throws Error{kInvalidInput} for a quoted field that
/// never ends (or is larger than max_row_bytes): it would swallow every row after it.
void scan_csv(const InputFile& file, char delimiter, uint64_t max_row_bytes, RowSink on_row);

/// What separates the fields of a CSV file: a tab in .tsv, else what guess_delimiter finds in its first record.
char delimiter_of(const InputFile& file);

/// Cuts what scan_* leaves out of a row from the end of `bytes`, which starts at a row's `begin` and may run up to the
/// next row's.
std::string_view trim_row(Container container, std::string_view bytes);

}  // namespace hone::data
