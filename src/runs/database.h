// An SQLite file: one connection, its statements and its transactions.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

namespace hone::runs {

/// One connection; its users see to it that one thread at a time works with it. Several connections, also of several processes, may
/// share the file: who finds it locked waits up to ten seconds.
class Database {
 public:
  /// kFull: a committed transaction survives a power cut; kNormal: the end of the process only, at less cost.
  enum class Durability { kNormal, kFull };

  /// Opens or creates the file, and its folder. `what` names it in errors ("the run history"), `elsewhere` says how another place is
  /// chosen ("with HONE_HOME"). Throws Error{kIo}.
  Database(std::filesystem::path path, std::string what, std::string elsewhere, Durability durability);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Statements without parameters or results. Throws Error{kIo}.
  void execute(const char* sql);
  const std::filesystem::path& path() const { return path_; }
  /// The number of the row that was inserted last.
  int64_t last_row() const { return sqlite3_last_insert_rowid(db_); }

 private:
  friend class Query;
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_;
  std::string what_, elsewhere_;
  sqlite3* db_ = nullptr;
};

/// One prepared statement with its values in order; then step through the rows. Throws Error{kIo}.
class Query {
 public:
  template <class... Values>
  Query(const Database& database, const char* sql, const Values&... values) : database_(database) {
    prepare(sql);
    (bind(values), ...);
  }
  ~Query() { sqlite3_finalize(statement_); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  bool next();
  std::string text(int column) const;
  int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  // NULL is what SQLite makes of a number that is none.
  double real(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL ? std::numeric_limits<double>::quiet_NaN() : sqlite3_column_double(statement_, column); }

 private:
  void prepare(const char* sql);
  void bind(const std::string& value) { sqlite3_bind_text(statement_, ++bound_, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT); }
  void bind(int64_t value) { sqlite3_bind_int64(statement_, ++bound_, value); }
  void bind(double value) { sqlite3_bind_double(statement_, ++bound_, value); }

  const Database& database_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

/// BEGIN IMMEDIATE … COMMIT; rolled back unless committed.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool done_ = false;
};

/// "2026-01-31T12:00:00Z"
std::string utc_now();

}  // namespace hone::runs
