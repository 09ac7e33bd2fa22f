#include "data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "data/csv.h"
#include "data/row_fields.h"

namespace hone::data {
namespace {

constexpr uint64_t kLineStride = 64;
constexpr size_t kRowsForFormat = 16;

uint64_t fold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t extended(uint64_t fingerprint, uint64_t hash) { return fold(fingerprint ^ hash, 0x9E3779B97F4A7C15u) + hash; }

}  // namespace

// h ← fold(h ⊕ word, K) over little-endian 64-bit words, the length last.
uint64_t row_hash(std::string_view bytes, uint64_t seed) {
  constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15u, kOdd2 = 0xD1B54A32D192ED03u;
  uint64_t hash = fold(seed ^ kOdd1, kOdd2);
  const auto word_at = [&](size_t at, size_t count) {
    uint64_t word = 0;
    for (size_t i = 0; i < count; ++i) word |= uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
    return word;
  };
  size_t at = 0;
  for (; bytes.size() - at >= 8; at += 8) {
    const uint64_t word = word_at(at, 8);
    hash = fold(hash ^ word ^ kOdd2, kOdd1) + word;
  }
  if (at < bytes.size()) {
    const uint64_t word = word_at(at, bytes.size() - at);
    hash = fold(hash ^ word ^ kOdd2, kOdd1) + word;
  }
  return fold(fold(hash ^ bytes.size(), kOdd2) ^ kOdd1, kOdd2);
}

void RowIndex::add(uint64_t begin, uint64_t line) {
  if (begin_.size() % kLineStride == 0) line_of_64th_.push_back(line);
  begin_.push_back(begin);
}

uint64_t RowIndex::line(uint64_t row, const InputFile& file) const {
  const uint64_t from = row / kLineStride * kLineStride;
  uint64_t line = line_of_64th_[row / kLineStride];
  for (uint64_t at = begin_[from]; at < begin_[row];) {
    const std::string bytes = file.read(at, std::min<uint64_t>(begin_[row] - at, 1 << 20));
    line += static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), file.line_end()));
    at += bytes.size();
  }
  return line;
}

Dataset::Dataset(const DatasetConfig& dataset, const DataConfig& config, uint32_t number, bool validation_only)
    : file_(dataset.path),
      container_(dataset.container == Container::kAuto ? detect_container(file_) : dataset.container),
      delimiter_(dataset.delimiter),
      max_row_bytes_(static_cast<uint64_t>(config.max_row_bytes)),
      seed_(config.seed),
      max_rows_(static_cast<uint64_t>(dataset.max_rows > 0 ? dataset.max_rows : config.max_rows > 0 ? config.max_rows : int64_t{1} << 62)),
      max_nesting_(config.max_nesting),
      limit_(config.max_bad_rows),
      weight_(dataset.weight),
      number_(number),
      roles_(dataset.roles) {
  report_.turns = config.turns;
  report_.path = dataset.path;
  report_.container = container_;
  report_.bytes = static_cast<int64_t>(file_.size());
  scan(dataset, validation_only ? 1.0 : config.validation_share);
}

void Dataset::scan(const DatasetConfig& dataset, double validation_share) {
  const bool all_validation = validation_share >= 1;
  const auto threshold = all_validation ? 0 : static_cast<uint64_t>(std::ldexp(validation_share, 64));
  uint64_t rows_seen = 0, end = 0, smallest = 0, greatest = 0, smallest_row = 0, greatest_row = 0;
  // The format is settled from the first rows that can be parsed; until then they wait here.
  struct Waiting {
    uint64_t row, line;
  };
  std::vector<Waiting> waiting;
  std::vector<Json> waiting_rows;
  const auto settle_waiting = [&] {
    settle(dataset, waiting_rows);
    for (size_t i = 0; i < waiting.size(); ++i) understand(waiting[i].row, waiting[i].line, waiting_rows[i]);
    waiting.clear();
    waiting_rows.clear();
  };
  const auto on_row = [&](const RawRow& raw) {
    if (container_ == Container::kCsv && header_.empty()) return read_header(raw);
    if (rows_seen == max_rows_) return;
    ++rows_seen;
    const uint64_t row = report_.rows++;
    index_.add(raw.begin, raw.line);
    end = raw.end;
    const uint64_t hash = row_hash(raw.bytes, seed_);
    fingerprint_ = extended(fingerprint_, hash);
    validation_.push_back(all_validation || hash < threshold);
    if (row == 0 || hash < smallest) smallest = hash, smallest_row = row;
    if (row == 0 || hash > greatest) greatest = hash, greatest_row = row;
    unusable_.push_back(false);
    visited_.push_back(false);
    if (raw.too_large) {
      return note(row, raw.line, {ProblemKind::kRowTooLarge, fmt::format("{} bytes, at most {} are accepted",
                                                                         raw.end - raw.begin, max_row_bytes_)});
    }
    Json json;
    if (auto issue = parse(raw.bytes, json)) return note(row, raw.line, std::move(*issue));
    if (format_.format != Format::kAuto) return understand(row, raw.line, json);
    waiting.push_back({row, raw.line});
    waiting_rows.push_back(std::move(json));
    if (waiting.size() == kRowsForFormat) settle_waiting();
  };
  if (container_ == Container::kCsv && delimiter_ == 0) {
    delimiter_ = delimiter_of(file_);
  }
  scan_rows(on_row);
  index_.finish(end);
  if (report_.rows == 0) {
    throw Error(ErrorCode::kInvalidInput, report_.path, "the file has no rows", "a dataset needs at least one row");
  }
  if (format_.format == Format::kAuto) {
    if (waiting.empty()) refuse_rows();
    settle_waiting();
  }
  if (report_.problems.malformed() > limit_.allowed(report_.rows)) refuse_rows();
  validation_.seal();
  // A share that is wanted gets at least one row, and so does training: the rows with the extreme hashes.
  if (!all_validation && validation_share > 0 && report_.rows > 1) {
    if (validation_.count() == 0) validation_.set(smallest_row, true);
    if (validation_.count_others() == 0) validation_.set(greatest_row, false);
    validation_.seal();
  }
  count_sides();
}

void Dataset::count_sides() {
  report_.training_rows = report_.validation_rows = 0;
  for (uint64_t row = 0; row < rows(); ++row)
    if (!unusable_.contains(row)) ++(is_training(row) ? report_.training_rows : report_.validation_rows);
}

void Dataset::understand(uint64_t row, uint64_t line, const Json& json) {
  Example example;
  for (std::string& field : unknown_fields(json, format_)) {
    const auto known = report_.unknown_fields.find(field);
    if (known != report_.unknown_fields.end()) ++known->second;
    else if (report_.unknown_fields.size() < DatasetReport::kMostFields) report_.unknown_fields.emplace(std::move(field), 1);
  }
  if (auto issue = format_.read(json, example)) return note(row, line, std::move(*issue));
  report_.leading_assistant += example.notes.leading_assistant;
  report_.trailing_turns += example.notes.trailing_turns;
  report_.repeated_turns += example.notes.repeated_turns;
}

void Dataset::check_unchanged() {
  if (!file_.changed()) return;
  const uint64_t size = file_.size();
  uint64_t fingerprint = 0, size_now = 0, rows_seen = 0;
  bool header = container_ == Container::kCsv;
  const auto on_row = [&](const RawRow& raw) {
    if (std::exchange(header, false) || rows_seen++ >= max_rows_) return;
    fingerprint = extended(fingerprint, row_hash(raw.bytes, seed_));
  };
  try {
    size_now = file_.look_again();
    scan_rows(on_row);
  } catch (const Error&) {
    fingerprint = ~fingerprint_;  // its structure broke
  }
  if (fingerprint != fingerprint_ || size_now != size) {
    throw Error(ErrorCode::kIo, report_.path, "the file was changed while training reads it",
                "put the file back as it was, and keep it unchanged during a run");
  }
  file_.accept();
}

void Dataset::scan_rows(RowSink on_row) {
  switch (container_) {
    case Container::kJson: return scan_json(file_, max_row_bytes_, on_row);
    case Container::kCsv: return scan_csv(file_, delimiter_, max_row_bytes_, on_row);
    default: return scan_jsonl(file_, max_row_bytes_, on_row);
  }
}

void Dataset::settle(const DatasetConfig& dataset, const std::vector<Json>& first_rows) {
  format_ = settle_format(dataset.format, dataset.columns, first_rows, report_.path);
  format_.roles = roles_;
  format_.turns = report_.turns;
  report_.format = format_.format;
}

void Dataset::read_header(const RawRow& header) {
  const auto fail = [&](std::string message) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}:{}", report_.path, header.line), std::move(message),
                "the first record of a CSV file names the columns");
  };
  if (header.too_large) fail("the header record is too large");
  if (valid_utf8(header.bytes) != header.bytes.size()) fail("the header record is not UTF-8");
  if (std::string wrong = split_csv(header.bytes, delimiter_, header_); !wrong.empty()) fail(std::move(wrong));
  std::unordered_set<std::string> seen;
  for (std::string& name : header_) {
    name.erase(0, name.find_first_not_of(" \t\r\n"));
    name.erase(name.find_last_not_of(" \t\r\n") + 1);
    if (!name.empty() && !seen.insert(name).second) fail(fmt::format("two columns are named \"{}\"", name));
  }
  if (seen.empty()) fail("the header record names no column");
}

std::optional<RowIssue> Dataset::parse(std::string_view bytes, Json& row) const {
  if (container_ == Container::kCsv) return parse_csv_row(bytes, delimiter_, header_, row);
  return parse_json_row(bytes, max_nesting_, row);
}

std::string Dataset::raw(uint64_t row) const {
  // A usable row is at most max_row_bytes_ long, however much white space follows it.
  std::string bytes = file_.read(index_.begin(row), std::min(this->bytes(row), max_row_bytes_ + 1));
  bytes.resize(trim_row(container_, bytes).size());
  return bytes;
}

std::optional<RowIssue> Dataset::read_json(uint64_t row, Json& json) const { return parse(raw(row), json); }

std::optional<RowIssue> Dataset::read(uint64_t row, Example& example) const {
  Json json;
  if (auto issue = read_json(row, json)) return issue;
  return format_.read(json, example);
}

std::string Dataset::where(uint64_t row) const {
  HONE_CHECK(row < rows(), "row {} of {}", row, rows());
  return fmt::format("{}:{}", report_.path, index_.line(row, file_));
}

void Dataset::note(uint64_t row, uint64_t line, RowIssue issue) {
  unusable_.set(row, true);
  const bool counts = is_malformed(issue.kind);
  report_.problems.add({issue.kind, report_.path, line, std::move(issue.message)});
  if (!counts || limit_.unit != BadRowLimit::Unit::kCount) return;
  if (report_.problems.malformed() > limit_.allowed(report_.rows)) refuse_rows();
}

void Dataset::refuse_rows() const {
  const int64_t allowed = limit_.allowed(report_.rows), found = static_cast<int64_t>(report_.problems.malformed());
  std::string message = fmt::format("{} of {} rows cannot be used ({}){}", found, report_.rows, report_.problems.summary(), found > allowed ? fmt::format(", at most {} may be", allowed) : "");
  int shown = 0;
  for (const Problem& problem : report_.problems.first) {
    if (is_malformed(problem.kind) && ++shown <= 5) message += "\n  " + problem.text();
  }
  const bool all_missing = report_.problems.malformed() == report_.rows && report_.problems.first.front().kind == ProblemKind::kMissingKey;
  throw Error(ErrorCode::kInvalidInput, report_.path, std::move(message),
              all_missing ? fmt::format("these rows are not in the form {}: leave `format` out to have it found, or name their keys with `columns`", name(format_.format))
                          : "correct the rows, or raise max_bad_rows (a share such as 5%, or a number of rows)");
}

void Dataset::record(uint64_t row, const std::vector<Sample>& samples) {
  if (visited_.contains(row)) return;
  visited_.set(row, true);
  ++visited_rows_;
  for (const Sample& sample : samples) {
    ++report_.samples;
    report_.tokens += sample.length();
    report_.supervised_tokens += sample.supervised();
    report_.truncated += sample.truncated;
    report_.learned_turns += sample.turns;
    report_.reasoned_turns += sample.reasoned;
    report_.longest = std::max(report_.longest, sample.length());
  }
}

void Dataset::record(uint64_t row, RowIssue issue) {
  if (visited_.contains(row) || unusable_.contains(row)) return;
  visited_.set(row, true);
  ++visited_rows_;
  const bool counts = is_malformed(issue.kind);
  note(row, index_.line(row, file_), std::move(issue));
  --(is_training(row) ? report_.training_rows : report_.validation_rows);
  if (counts && report_.problems.malformed() > limit_.allowed(report_.rows)) refuse_rows();
}

}  // namespace hone::data
