// The review of one file of rows by people: what is asked of them, what they decided, what comes out.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/rows.h"
#include "serve/http/router.h"
#include "serve/pages/page_server.h"
#include "serve/review/review_store.h"

namespace hone::serve {

struct ReviewExport {
  int64_t accepted = 0, edited = 0, rejected = 0, disputed = 0, open = 0;
  int64_t malformed = 0;    // rows that cannot be read, and so not be reviewed
  int64_t set_aside = 0;    // decisions about rows that the file no longer holds
  bool operator==(const ReviewExport&) const = default;
};

/// Const functions, and decide(), may be called from any thread.
class Review {
 public:
  /// One file of rows. Throws Error{kInvalidInput} when the state belongs to another content of the file and `force` is false; with
  /// `force`, decisions stay with the rows that are still there and others are set aside, not deleted. Both must outlive this.
  Review(const data::Rows& rows, ReviewStore& store, bool force);

  /// The row's key: the hash of its bytes, and which of the equal rows it is.
  std::string key(uint32_t row) const;
  /// {"row", "rows", "decided"}: the first usable row from `from` on (and then from the start) that the reviewer has not decided about,
  /// row = rows when there is none; how many rows of the file the reviewer has decided about.
  Json next(const std::string& reviewer, uint32_t from) const;
  /// {"row", "where", "key", "fields", "own", "others"}; what others decided is shown once one has decided oneself. Throws
  /// Error{kInvalidInput} for a row that is not there or not usable, Error{kIo} when the file changed meanwhile.
  Json row(uint32_t row, const std::string& reviewer) const;
  /// Counts of outcomes, of each reviewer, and how far they agree (accept, edit, reject are nominal classes).
  Json summary() const;
  /// Checks the decision against the row and keeps it. Throws Error{kInvalidInput}: another key than the row's, edits that make no
  /// row, a rejection without a reason.
  void decide(uint32_t row, Decision decision);

  /// The kept rows in their order, the last edit applied, with {"review": [{"reviewer", "verdict", "reason", "time"}]} added; entries
  /// of an earlier review stay in front. The output is whole or absent. Throws Error{kInvalidInput} when a row holds something else
  /// under "review".
  ReviewExport export_rows(const std::string& output, const std::function<bool()>& stop) const;

 private:
  data::ReadRow read(uint32_t row) const;
  bool holds(std::string_view key) const;

  const data::Rows& rows_;
  ReviewStore& store_;
  std::vector<uint64_t> hash_;
  std::vector<uint32_t> twin_;  // how many equal rows come before
  std::unordered_map<uint64_t, uint32_t> copies_;  // of each row, by its hash
};

/// Adds /api/summary, /api/next, /api/row and /api/decide.
void add_review_routes(http::Router& router, Review& review);

}  // namespace hone::serve
