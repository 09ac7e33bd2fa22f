#include "runs/run_store.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "runs/database.h"

namespace hone::runs {
namespace {

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

struct RunStore::Impl {
  Database database;
};

RunStore::RunStore(const std::filesystem::path& path)
    : impl_(new Impl{{path, "the run history", "with HONE_HOME", Database::Durability::kNormal}}) {
  impl_->database.execute(kSchema);
}

RunStore::~RunStore() = default;
RunStore::RunStore(RunStore&&) noexcept = default;

std::string RunStore::start(const std::string& stem, const std::string& kind, const std::string& folder, const std::string& config) {
  Transaction transaction(impl_->database);
  int64_t number = 1;
  {
    Query last(impl_->database, "SELECT COALESCE(MAX(number), 0) + 1 FROM runs");
    if (last.next()) number = last.integer(0);
  }
  const std::string id = fmt::format("{}-{}", stem, number);
  Query insert(impl_->database, "INSERT INTO runs (id, kind, folder, config, status, started, number) VALUES (?, ?, ?, ?, 'running', ?, ?)",
               id, kind, folder, config, utc_now(), number);
  insert.next();
  transaction.commit();
  return id;
}

std::optional<std::string> RunStore::find_by_folder(const std::string& folder) {
  Query query(impl_->database, "SELECT id FROM runs WHERE folder = ? AND kind = 'train' ORDER BY number DESC LIMIT 1", folder);
  if (!query.next()) return std::nullopt;
  return query.text(0);
}

void RunStore::resume(const std::string& id, int64_t step) {
  Transaction transaction(impl_->database);
  Query(impl_->database, "DELETE FROM metrics WHERE run = ? AND step > ?", id, step).next();
  Query(impl_->database, "DELETE FROM events WHERE run = ? AND step > ?", id, step).next();
  Query(impl_->database, "UPDATE runs SET status = 'running', ended = '' WHERE id = ?", id).next();
  transaction.commit();
}

void RunStore::add_metrics(const std::string& id, const std::vector<Metric>& metrics) {
  Transaction transaction(impl_->database);
  for (const Metric& metric : metrics)
    Query(impl_->database, "INSERT OR REPLACE INTO metrics (run, step, name, value) VALUES (?, ?, ?, ?)", id, metric.step, metric.name,
          metric.value).next();
  transaction.commit();
}

void RunStore::add_event(const std::string& id, int64_t step, const std::string& kind, const std::string& text) {
  Query(impl_->database, "INSERT INTO events (run, step, kind, text, time) VALUES (?, ?, ?, ?, ?)", id, step, kind, text, utc_now()).next();
}

void RunStore::finish(const std::string& id, const std::string& status, const std::map<std::string, double>& summary) {
  Query(impl_->database, "UPDATE runs SET status = ?, ended = ?, summary = ? WHERE id = ?", status, utc_now(), nlohmann::json(summary).dump(), id)
      .next();
}

std::vector<Run> RunStore::list(int64_t limit, const std::string& kind) {
  std::vector<Run> runs;
  Query query(impl_->database, (std::string(kColumns) + "WHERE ? = '' OR kind = ? ORDER BY number DESC LIMIT ?").c_str(), kind, kind, limit);
  while (query.next()) runs.push_back(run_of(query));
  return runs;
}

Run RunStore::get(const std::string& id) {
  Query query(impl_->database, (std::string(kColumns) + "WHERE id = ?").c_str(), id);
  if (query.next()) return run_of(query);
  std::vector<std::string> known;
  for (const Run& run : list(1000)) known.push_back(run.id);
  const std::string near = nearest(id, known);
  throw Error(ErrorCode::kNotFound, impl_->database.path().string(), fmt::format("there is no run \"{}\"", id),
              near.empty() ? "hone runs list shows all runs" : fmt::format("did you mean \"{}\"?", near));
}

std::vector<Metric> RunStore::metrics(const std::string& id, const std::string& name) {
  std::vector<Metric> metrics;
  Query query(impl_->database, "SELECT step, value FROM metrics WHERE run = ? AND name = ? ORDER BY step", id, name);
  while (query.next()) metrics.push_back({query.integer(0), name, query.real(1)});
  return metrics;
}

std::vector<Event> RunStore::events(const std::string& id) {
  std::vector<Event> events;
  Query query(impl_->database, "SELECT step, kind, text, time FROM events WHERE run = ? ORDER BY rowid", id);
  while (query.next()) events.push_back({query.integer(0), query.text(1), query.text(2), query.text(3)});
  return events;
}

}  // namespace hone::runs
