// What can be wrong with a row, and the tally of it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone::data {

enum class ProblemKind : uint8_t {
  // Malformed rows: counted against DataConfig::max_bad_rows.
  kRowTooLarge,    // more bytes than max_row_bytes
  kNotUtf8,        // bytes that are not UTF-8
  kBadJson,        // not a JSON value
  kTooDeep,        // nested deeper than max_nesting
  kNotAnObject,    // JSON, but not an object
  kBadCsv,         // wrong number of fields, or a quote out of place
  kMissingKey,     // a column of the format is absent
  kWrongType,      // a column holds the wrong kind of value
  kEmptyChat,      // a conversation without turns
  kUnknownRole,    // a role the format does not know
  kRoleOrder,      // turns in an order no template can render
  kEmptyPrompt,    // a user turn or a prompt without text
  kEmptyAnswer,    // an answer without text
  kEmptyText,      // plain text without text
  kRefused,        // the chat template or the tokenizer refused the row
  kRefusedField,   // a field that changes what a row means and that hone does not compute
  // Well-formed rows that give no sample: counted apart, never fatal by number.
  kDroppedTurns,       // left out by a setting on the order of turns
  kTooLong,            // longer than the cut-off length, dropped by policy
  kNothingSupervised,  // no token carries a label
};
inline constexpr int kProblemKinds = static_cast<int>(ProblemKind::kNothingSupervised) + 1;

/// "bad JSON", "role order", …
std::string_view name(ProblemKind kind);
/// Whether rows of this kind count against the limit.
bool is_malformed(ProblemKind kind);

/// One row's problem: "FILE:LINE: bad JSON: …".
struct Problem {
  ProblemKind kind{};
  std::string file;
  uint64_t line = 0;  // 1-based line on which the row begins
  std::string message;

  std::string text() const;
};

/// Counts by kind, and the first few in full.
struct ProblemTally {
  static constexpr size_t kKept = 20;

  std::array<int64_t, kProblemKinds> count{};
  std::vector<Problem> first;  // at most kKept, in the order found

  void add(Problem problem);
  void merge(const ProblemTally& other);
  int64_t of(ProblemKind kind) const { return count[static_cast<size_t>(kind)]; }
  int64_t malformed() const;
  int64_t total() const;
  /// "3 × bad JSON, 1 × empty answer"; empty when there are none.
  std::string summary() const;
};

}  // namespace hone::data
