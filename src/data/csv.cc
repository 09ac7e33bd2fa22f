#include "data/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "data/row_scanner.h"

namespace hone::data {
namespace {

constexpr uint64_t kCsvChunk = 1 << 20;

// Where a byte stands within a record. A quote opens a field only as its first byte; kQuoteInQuotes has seen a quote
// inside a quoted field and not yet what follows it.
enum class Place { kFieldStart, kPlain, kQuoted, kQuoteInQuotes };

Place step(Place place, char c, char delimiter) {
  switch (place) {
    case Place::kQuoted:
      return c == '"' ? Place::kQuoteInQuotes : Place::kQuoted;
    case Place::kQuoteInQuotes:
      if (c == '"') return Place::kQuoted;
      break;
    case Place::kFieldStart:
      if (c == '"') return Place::kQuoted;
      break;
    case Place::kPlain:
      break;
  }
  return c == delimiter ? Place::kFieldStart : Place::kPlain;
}

bool ends_line(char c) { return c == '\n' || c == '\r'; }

[[noreturn]] void endless_quote(const InputFile& file, uint64_t line, const char* how) {
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}:{}", file.path(), line),
              fmt::format("a quoted field of the record that begins here {}", how),
              "close the quote; a quote inside a quoted field is written twice (\"\")");
}

}  // namespace

std::string split_csv(std::string_view record, char delimiter, std::vector<std::string>& fields) {
  fields.assign(1, {});
  Place place = Place::kFieldStart;
  for (const char c : record) {
    const Place next = step(place, c, delimiter);
    switch (place) {
      case Place::kFieldStart:
        if (next == Place::kPlain) fields.back() += c;
        break;
      case Place::kPlain:
        if (next == Place::kPlain) fields.back() += c;
        break;
      case Place::kQuoted:
        if (next == Place::kQuoted) fields.back() += c;
        break;
      case Place::kQuoteInQuotes:
        if (next != Place::kFieldStart) fields.back() += c;
        break;
    }
    if (next == Place::kFieldStart) fields.emplace_back();
    place = next;
  }
  if (place == Place::kQuoted) return fmt::format("the quote of field {} is never closed", fields.size());
  return {};
}

char guess_delimiter(std::string_view text) {
  constexpr std::string_view kDelimiters = ",;\t";
  char best = ',';
  int64_t most = 0;
  for (const char delimiter : kDelimiters) {
    Place place = Place::kFieldStart;
    int64_t count = 0;
    for (const char c : text) {
      if (ends_line(c) && place != Place::kQuoted) break;
      place = step(place, c, delimiter);
      count += place == Place::kFieldStart;
    }
    if (count > most) {
      most = count;
      best = delimiter;
    }
  }
  return best;
}

char delimiter_of(const InputFile& file) {
  if (file.path().ends_with(".tsv") || file.path().ends_with(".TSV")) return '\t';
  const uint64_t begin = file.content_begin();
  return guess_delimiter(file.read(begin, std::min<uint64_t>(file.size() - begin, 1 << 16)));
}

void scan_csv(const InputFile& file, char delimiter, uint64_t max_row_bytes, RowSink on_row) {
  const auto buffer = std::make_unique<char[]>(kCsvChunk);
  std::string row;
  uint64_t row_begin = file.content_begin(), row_bytes = 0, row_line = 1, line = 1;
  Place place = Place::kFieldStart;
  const auto finish = [&] {
    const std::string_view text = trim_row(Container::kCsv, row);
    const bool too_large = row_bytes > max_row_bytes;
    if (!text.empty() || too_large) {
      on_row({row_begin, row_begin + (too_large ? row_bytes : text.size()), row_line, too_large,
              text.substr(0, max_row_bytes)});
    }
    row.clear();
    row_bytes = 0;
    place = Place::kFieldStart;
  };
  for (uint64_t at = row_begin; at < file.size();) {
    const uint64_t got = file.read_some(at, buffer.get(), std::min(kCsvChunk, file.size() - at));
    if (got == 0) throw Error(ErrorCode::kIo, file.path(), "the file became shorter while it was read");
    for (uint64_t i = 0; i < got; ++i) {
      const char c = buffer[i];
      line += c == file.line_end();
      if (ends_line(c) && place != Place::kQuoted) {
        finish();
        row_line = line;
        row_begin = at + i + 1;
        continue;
      }
      place = step(place, c, delimiter);
      if (++row_bytes <= max_row_bytes) {
        row += c;
      } else if (place == Place::kQuoted) {
        endless_quote(file, row_line, "is larger than a row may be");
      }
    }
    at += got;
  }
  if (place == Place::kQuoted) endless_quote(file, row_line, "is never closed");
  if (row_bytes > 0) finish();
}

}  // namespace hone::data
