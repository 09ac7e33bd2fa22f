// What reviewers decided about rows, in an SQLite file: every decision is one committed transaction, and none is ever overwritten.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "runs/database.h"
#include "serve/review/row_fields.h"

namespace hone::serve {

/// kWithdrawn takes an earlier decision back.
enum class Verdict { kAccept, kEdit, kReject, kWithdrawn };
/// "accept", "edit", "reject", "withdraw".
std::string_view name(Verdict verdict);
std::optional<Verdict> parse_verdict(std::string_view name);

struct Decision {
  std::string row;  // the row's key: follows from its content, so it outlives changes around it
  std::string reviewer;
  Verdict verdict = Verdict::kAccept;
  Edits edits;      // of kEdit
  std::string reason;
  std::string time; // UTC; set by the store
};

/// kDisputed: as many keep the row as reject it.
enum class Outcome { kOpen, kAccepted, kEdited, kRejected, kDisputed };
std::string_view name(Outcome outcome);
/// Of one row's decisions, one per reviewer. Accepting and editing both keep the row; the majority counts.
Outcome outcome_of(std::span<const Decision> decisions);

/// Functions may be called from any thread, and several processes may share the file. Throws Error{kIo}.
class ReviewStore {
 public:
  explicit ReviewStore(const std::filesystem::path& path);

  /// The fingerprint of the file under review. The first call on a new state sets it to `ours`.
  std::string fingerprint(const std::string& ours);
  void set_fingerprint(const std::string& fingerprint);

  /// Keeps the decision; it is on the disk when this returns. A reviewer's later decision on a row replaces the earlier one, which
  /// stays in the history.
  void add(const Decision& decision);
  /// The decisions that count, in the order they were made.
  std::vector<Decision> all() const;
  std::vector<Decision> of_row(const std::string& row) const;
  /// The rows somebody has decided about.
  std::unordered_set<std::string> decided_by(const std::string& reviewer) const;
  /// How many decisions were ever made, replaced ones included.
  int64_t history() const;

 private:
  mutable std::mutex mutex_;
  mutable runs::Database database_;
};

}  // namespace hone::serve
