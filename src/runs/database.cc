#include "runs/database.h"

#include <fmt/chrono.h>

#include <cerrno>
#include <chrono>

#include "base/disk.h"
#include "base/error.h"

namespace hone::runs {

Database::Database(std::filesystem::path path, std::string what, std::string elsewhere, Durability durability)
    : path_(std::move(path)), what_(std::move(what)), elsewhere_(std::move(elsewhere)) {
  std::error_code error;
  if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), error);
  try {
    if (sqlite3_open(path_.c_str(), &db_) != SQLITE_OK) fail("cannot be opened");
    sqlite3_busy_timeout(db_, 10000);
    execute(durability == Durability::kFull ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" : "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");
  } catch (...) {
    sqlite3_close(db_);
    throw;
  }
}

Database::~Database() { sqlite3_close(db_); }

void Database::fail(const char* what) const {
  const int reason = db_ ? sqlite3_system_errno(db_) : 0;
  const bool full = db_ && (sqlite3_errcode(db_) == SQLITE_FULL || reason == ENOSPC || reason == EDQUOT || reason == EFBIG);
  std::string left;
  if (const auto bytes = free_bytes(path_); full && bytes) left = fmt::format(" ({} free)", byte_size(*bytes));
  throw Error(ErrorCode::kIo, path_.string(), fmt::format("{} {}: {}{}", what_, what, db_ ? sqlite3_errmsg(db_) : "out of memory", left),
              full ? fmt::format("free some space on this disk, or choose another {}", elsewhere_) : fmt::format("check that the folder can be written to, or choose another {}", elsewhere_));
}

void Database::execute(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail("cannot be changed");
}

void Query::prepare(const char* sql) {
  if (sqlite3_prepare_v2(database_.db_, sql, -1, &statement_, nullptr) != SQLITE_OK) database_.fail("cannot be read");
}

bool Query::next() {
  const int result = sqlite3_step(statement_);
  if (result != SQLITE_ROW && result != SQLITE_DONE) database_.fail("cannot be changed");
  return result == SQLITE_ROW;
}

std::string Query::text(int column) const {
  const auto* value = sqlite3_column_text(statement_, column);
  return value ? std::string(reinterpret_cast<const char*>(value), static_cast<size_t>(sqlite3_column_bytes(statement_, column))) : "";
}

Transaction::Transaction(Database& database) : database_(database) { database_.execute("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  if (done_) return;
  try {
    database_.execute("ROLLBACK");
  } catch (const Error&) {
    // SQLite has rolled back by itself.
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  done_ = true;
}

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

}  // namespace hone::runs
