// The history of runs: configuration, metrics and events of every training and evaluation, in one SQLite file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace hone::runs {

struct Run {
  std::string id;       // "triage-3": short enough to type
  std::string kind;     // "train", "eval"
  std::string folder;   // where its files are
  std::string config;   // resolved YAML
  std::string status;   // "running", "done", "stopped", "failed"
  std::string started, ended;  // ISO 8601, UTC
  std::map<std::string, double> summary;  // final figures by name
};

struct Metric {
  int64_t step = 0;
  std::string name;
  double value = 0;
};

struct Event {
  int64_t step = 0;
  std::string kind, text, time;
};

/// Every function throws Error{kIo} naming the database. Changes are in the file when the function returns (WAL), and several
/// programs may use the file at once.
class RunStore {
 public:
  /// $HONE_HOME/runs.db, by default ~/.hone/runs.db.
  static std::filesystem::path default_path();
  explicit RunStore(const std::filesystem::path& path);
  ~RunStore();
  RunStore(RunStore&&) noexcept;

  /// Enters a new run named after `stem` and returns its id.
  std::string start(const std::string& stem, const std::string& kind, const std::string& folder, const std::string& config);
  /// The newest run in this folder that can be continued; nothing when there is none.
  std::optional<std::string> find_by_folder(const std::string& folder);
  /// Marks a run as running again and forgets its metrics and events after `step`.
  void resume(const std::string& id, int64_t step);
  void add_metrics(const std::string& id, const std::vector<Metric>& metrics);
  void add_event(const std::string& id, int64_t step, const std::string& kind, const std::string& text);
  void finish(const std::string& id, const std::string& status, const std::map<std::string, double>& summary);

  /// Newest first; of one kind, or of all when it is empty.
  std::vector<Run> list(int64_t limit = 50, const std::string& kind = {});
  /// By id; throws Error{kNotFound} with the nearest id.
  Run get(const std::string& id);
  std::vector<Metric> metrics(const std::string& id, const std::string& name);
  std::vector<Event> events(const std::string& id);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone::runs
