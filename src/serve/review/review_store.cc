#include "serve/review/review_store.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace hone::serve {
namespace {

constexpr const char* kReviewSchema = R"sql(
CREATE TABLE IF NOT EXISTS review (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (
  id INTEGER PRIMARY KEY AUTOINCREMENT, row TEXT NOT NULL, reviewer TEXT NOT NULL, verdict TEXT NOT NULL, edits TEXT NOT NULL,
  reason TEXT NOT NULL, time TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS latest (row TEXT NOT NULL, reviewer TEXT NOT NULL, decision INTEGER NOT NULL, PRIMARY KEY (row, reviewer)) WITHOUT ROWID;
)sql";

constexpr std::string_view kVerdicts[] = {"accept", "edit", "reject", "withdraw"};
constexpr std::string_view kOutcomes[] = {"open", "accepted", "edited", "rejected", "disputed"};

Decision decision_of(const runs::Query& query, const std::filesystem::path& path) {
  Decision d{query.text(0), query.text(1), Verdict::kAccept, {}, query.text(4), query.text(5)};
  const auto verdict = parse_verdict(query.text(2));
  const auto edits = nlohmann::json::parse(query.text(3), nullptr, /*allow_exceptions=*/false);
  if (!verdict || !edits.is_object()) throw Error(ErrorCode::kInvalidInput, path.string(), "the state of the review holds an unknown decision", "name another one with --state");
  d.verdict = *verdict;
  for (const auto& [pointer, text] : edits.items())
    if (text.is_string()) d.edits[pointer] = text.get<std::string>();
  return d;
}

}  // namespace

std::string_view name(Verdict verdict) { return kVerdicts[static_cast<size_t>(verdict)]; }
std::string_view name(Outcome outcome) { return kOutcomes[static_cast<size_t>(outcome)]; }

std::optional<Verdict> parse_verdict(std::string_view word) {
  for (size_t i = 0; i < std::size(kVerdicts); ++i)
    if (kVerdicts[i] == word) return static_cast<Verdict>(i);
  return std::nullopt;
}

Outcome outcome_of(std::span<const Decision> decisions) {
  int64_t kept = 0, rejected = 0;
  bool edited = false;
  for (const Decision& d : decisions) {
    if (d.verdict == Verdict::kWithdrawn) continue;
    d.verdict == Verdict::kReject ? ++rejected : ++kept;
    edited |= d.verdict == Verdict::kEdit;
  }
  if (kept == 0 && rejected == 0) return Outcome::kOpen;
  if (kept == rejected) return Outcome::kDisputed;
  if (kept < rejected) return Outcome::kRejected;
  return edited ? Outcome::kEdited : Outcome::kAccepted;
}

ReviewStore::ReviewStore(const std::filesystem::path& path) : database_(path, "the state of the review", "with --state", runs::Database::Durability::kFull) { database_.execute(kReviewSchema); }

std::string ReviewStore::fingerprint(const std::string& ours) {
  const std::lock_guard lock(mutex_);
  runs::Query(database_, "INSERT OR IGNORE INTO review (key, value) VALUES ('fingerprint', ?)", ours).next();
  runs::Query query(database_, "SELECT value FROM review WHERE key = 'fingerprint'");
  return query.next() ? query.text(0) : ours;
}

void ReviewStore::set_fingerprint(const std::string& fingerprint) {
  const std::lock_guard lock(mutex_);
  runs::Query(database_, "INSERT OR REPLACE INTO review (key, value) VALUES ('fingerprint', ?)", fingerprint).next();
}

void ReviewStore::add(const Decision& d) {
  const std::lock_guard lock(mutex_);
  runs::Transaction transaction(database_);
  runs::Query(database_, "INSERT INTO decisions (row, reviewer, verdict, edits, reason, time) VALUES (?, ?, ?, ?, ?, ?)", d.row, d.reviewer,
              std::string(name(d.verdict)), nlohmann::json(d.edits).dump(), d.reason, runs::utc_now()).next();
  const int64_t id = database_.last_row();
  if (d.verdict == Verdict::kWithdrawn) runs::Query(database_, "DELETE FROM latest WHERE row = ? AND reviewer = ?", d.row, d.reviewer).next();
  else runs::Query(database_, "INSERT OR REPLACE INTO latest (row, reviewer, decision) VALUES (?, ?, ?)", d.row, d.reviewer, id).next();
  transaction.commit();
}

constexpr const char* kSelect = "SELECT d.row, d.reviewer, d.verdict, d.edits, d.reason, d.time FROM latest l JOIN decisions d ON d.id = l.decision ";

std::vector<Decision> ReviewStore::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<Decision> out;
  runs::Query query(database_, (std::string(kSelect) + "ORDER BY d.id").c_str());
  while (query.next()) out.push_back(decision_of(query, database_.path()));
  return out;
}

std::vector<Decision> ReviewStore::of_row(const std::string& row) const {
  const std::lock_guard lock(mutex_);
  std::vector<Decision> out;
  runs::Query query(database_, (std::string(kSelect) + "WHERE l.row = ? ORDER BY d.id").c_str(), row);
  while (query.next()) out.push_back(decision_of(query, database_.path()));
  return out;
}

std::unordered_set<std::string> ReviewStore::decided_by(const std::string& reviewer) const {
  const std::lock_guard lock(mutex_);
  std::unordered_set<std::string> out;
  runs::Query query(database_, "SELECT row FROM latest WHERE reviewer = ?", reviewer);
  while (query.next()) out.insert(query.text(0));
  return out;
}

int64_t ReviewStore::history() const {
  const std::lock_guard lock(mutex_);
  runs::Query query(database_, "SELECT COUNT(*) FROM decisions");
  return query.next() ? query.integer(0) : 0;
}

}  // namespace hone::serve
