#include "runs/run_store.h"

#include <sqlite3.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include <fmt/chrono.h>

#include "base/disk.h"

namespace hone::runs {
namespace {

std::string now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

constexpr const char* kSchema = R"sql(
CREATE TABLE IF NOT EXISTS runs (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, folder TEXT NOT NULL, config TEXT NOT NULL, status TEXT NOT NULL,
  started TEXT NOT NULL, ended TEXT NOT NULL DEFAULT '', summary TEXT NOT NULL DEFAULT '{}', number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS metrics (run TEXT NOT NULL, step INTEGER NOT NULL, name TEXT NOT NULL, value REAL,
  PRIMARY KEY (run, name, step)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (run TEXT NOT NULL, step INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
  time TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_of_run ON events (run, step);
)sql";

}  // namespace

struct RunStore::Impl {
  std::filesystem::path path;
  sqlite3* db = nullptr;

  ~Impl() { sqlite3_close(db); }

  [[noreturn]] void fail(const char* what) const {
    const int reason = db ? sqlite3_system_errno(db) : 0;
    const bool full = db && (sqlite3_errcode(db) == SQLITE_FULL || reason == ENOSPC || reason == EDQUOT || reason == EFBIG);
    std::string left;
    if (const auto bytes = free_bytes(path); full && bytes) left = fmt::format(" ({} free)", byte_size(*bytes));
    throw Error(ErrorCode::kIo, path.string(), fmt::format("the run history {}: {}{}", what, db ? sqlite3_errmsg(db) : "out of memory", left),
                full ? "free some space on this disk, or keep the history on another one with HONE_HOME"
                     : "check that the folder can be written to, or choose another with HONE_HOME");
  }
  void execute(const char* sql) {
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail("cannot be changed");
  }
};

namespace {

// One prepared statement: bind() in order, then step through the rows.
class Query {
 public:
  template <class Impl, class... Values>
  Query(const Impl& impl, const char* sql, const Values&... values) : fail_([&impl](const char* what) { impl.fail(what); }) {
    if (sqlite3_prepare_v2(impl.db, sql, -1, &statement_, nullptr) != SQLITE_OK) fail_("cannot be read");
    (bind(values), ...);
  }
  ~Query() { sqlite3_finalize(statement_); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  bool next() {
    const int result = sqlite3_step(statement_);
    if (result != SQLITE_ROW && result != SQLITE_DONE) fail_("cannot be changed");
    return result == SQLITE_ROW;
  }
  std::string text(int column) const {
    const auto* value = sqlite3_column_text(statement_, column);
    return value ? reinterpret_cast<const char*>(value) : "";
  }
  int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  // NULL is what SQLite makes of a number that is none.
  double real(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL ? std::numeric_limits<double>::quiet_NaN() : sqlite3_column_double(statement_, column); }

 private:
  void bind(const std::string& value) { sqlite3_bind_text(statement_, ++bound_, value.c_str(), -1, SQLITE_TRANSIENT); }
  void bind(int64_t value) { sqlite3_bind_int64(statement_, ++bound_, value); }
  void bind(double value) { sqlite3_bind_double(statement_, ++bound_, value); }

  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  std::function<void(const char*)> fail_;
};

// BEGIN IMMEDIATE … COMMIT; rolled back unless committed.
template <class Impl>
class Transaction {
 public:
  explicit Transaction(Impl& impl) : impl_(impl) { impl_.execute("BEGIN IMMEDIATE"); }
  ~Transaction() {
    if (!done_) sqlite3_exec(impl_.db, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit() {
    impl_.execute("COMMIT");
    done_ = true;
  }

 private:
  Impl& impl_;
  bool done_ = false;
};

Run run_of(const Query& row) {
  Run run{row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.text(5), row.text(6), {}};
  const auto summary = nlohmann::json::parse(row.text(7), nullptr, /*allow_exceptions=*/false);
  if (summary.is_object())
    for (const auto& [name, value] : summary.items())
      if (value.is_number()) run.summary[name] = value.get<double>();
  return run;
}

constexpr const char* kColumns = "SELECT id, kind, folder, config, status, started, ended, summary FROM runs ";

}  // namespace

std::filesystem::path RunStore::default_path() {
  if (const char* home = std::getenv("HONE_HOME"); home && *home) return std::filesystem::path(home) / "runs.db";
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home && *home ? home : ".") / ".hone" / "runs.db";
}

RunStore::RunStore(const std::filesystem::path& path) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  if (sqlite3_open(path.c_str(), &impl_->db) != SQLITE_OK) impl_->fail("cannot be opened");
  sqlite3_busy_timeout(impl_->db, 10000);
  impl_->execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");
  impl_->execute(kSchema);
}

RunStore::~RunStore() = default;
RunStore::RunStore(RunStore&&) noexcept = default;

std::string RunStore::start(const std::string& stem, const std::string& kind, const std::string& folder, const std::string& config) {
  Transaction transaction(*impl_);
  int64_t number = 1;
  {
    Query last(*impl_, "SELECT COALESCE(MAX(number), 0) + 1 FROM runs");
    if (last.next()) number = last.integer(0);
  }
  const std::string id = fmt::format("{}-{}", stem, number);
  Query insert(*impl_, "INSERT INTO runs (id, kind, folder, config, status, started, number) VALUES (?, ?, ?, ?, 'running', ?, ?)",
               id, kind, folder, config, now(), number);
  insert.next();
  transaction.commit();
  return id;
}

std::optional<std::string> RunStore::find_by_folder(const std::string& folder) {
  Query query(*impl_, "SELECT id FROM runs WHERE folder = ? AND kind = 'train' ORDER BY number DESC LIMIT 1", folder);
  if (!query.next()) return std::nullopt;
  return query.text(0);
}

void RunStore::resume(const std::string& id, int64_t step) {
  Transaction transaction(*impl_);
  Query(*impl_, "DELETE FROM metrics WHERE run = ? AND step > ?", id, step).next();
  Query(*impl_, "DELETE FROM events WHERE run = ? AND step > ?", id, step).next();
  Query(*impl_, "UPDATE runs SET status = 'running', ended = '' WHERE id = ?", id).next();
  transaction.commit();
}

void RunStore::add_metrics(const std::string& id, const std::vector<Metric>& metrics) {
  Transaction transaction(*impl_);
  for (const Metric& metric : metrics)
    Query(*impl_, "INSERT OR REPLACE INTO metrics (run, step, name, value) VALUES (?, ?, ?, ?)", id, metric.step, metric.name,
          metric.value).next();
  transaction.commit();
}

void RunStore::add_event(const std::string& id, int64_t step, const std::string& kind, const std::string& text) {
  Query(*impl_, "INSERT INTO events (run, step, kind, text, time) VALUES (?, ?, ?, ?, ?)", id, step, kind, text, now()).next();
}

void RunStore::finish(const std::string& id, const std::string& status, const std::map<std::string, double>& summary) {
  Query(*impl_, "UPDATE runs SET status = ?, ended = ?, summary = ? WHERE id = ?", status, now(), nlohmann::json(summary).dump(), id)
      .next();
}

std::vector<Run> RunStore::list(int64_t limit) {
  std::vector<Run> runs;
  Query query(*impl_, (std::string(kColumns) + "ORDER BY number DESC LIMIT ?").c_str(), limit);
  while (query.next()) runs.push_back(run_of(query));
  return runs;
}

Run RunStore::get(const std::string& id) {
  Query query(*impl_, (std::string(kColumns) + "WHERE id = ?").c_str(), id);
  if (query.next()) return run_of(query);
  std::vector<std::string> known;
  for (const Run& run : list(1000)) known.push_back(run.id);
  const std::string near = nearest(id, known);
  throw Error(ErrorCode::kNotFound, impl_->path.string(), fmt::format("there is no run \"{}\"", id),
              near.empty() ? "hone runs list shows all runs" : fmt::format("did you mean \"{}\"?", near));
}

std::vector<Metric> RunStore::metrics(const std::string& id, const std::string& name) {
  std::vector<Metric> metrics;
  Query query(*impl_, "SELECT step, value FROM metrics WHERE run = ? AND name = ? ORDER BY step", id, name);
  while (query.next()) metrics.push_back({query.integer(0), name, query.real(1)});
  return metrics;
}

std::vector<Event> RunStore::events(const std::string& id) {
  std::vector<Event> events;
  Query query(*impl_, "SELECT step, kind, text, time FROM events WHERE run = ? ORDER BY rowid", id);
  while (query.next()) events.push_back({query.integer(0), query.text(1), query.text(2), query.text(3)});
  return events;
}

}  // namespace hone::runs
