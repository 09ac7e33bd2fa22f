// Everything the page shows of one run, live or past, and its JSON.
#pragma once

#include <optional>
#include <vector>

#include "recipes/health.h"
#include "runs/run_store.h"
#include "serve/api/fields.h"

namespace hone::serve::panel {

using recipes::Bands;

struct MemorySample {
  double seconds = 0;  // since the record began
  uint64_t bytes = 0;
};

/// Copies of it are as large as its points, of which there are at most a bounded number.
class Record {
 public:
  /// `room_helps`: TrainPlan's; else memory that is left over is not judged.
  Record(const Bands& bands, uint64_t memory_limit, bool room_helps = false)
      : bands_(bands), memory_limit_(memory_limit), room_helps_(room_helps), health_(bands, memory_limit, room_helps) {}

  /// A run of the history with its metrics and events, judged by the bands of its own settings and, above them, by `bands` (parse_bands).
  /// Throws Error{kNotFound}.
  static Record of_past(runs::RunStore& store, const std::string& id, const std::string& bands);

  /// Takes the steps, validations and events that the history holds of a run, before those that are still to come.
  void add_past(runs::RunStore& store, const std::string& id);

  // Each takes what happened, and returns the JSON of the event that tells a page so.
  Json begin(const recipes::TrainPlan& plan);
  Json add(const recipes::StepReport& report);
  Json add(const recipes::ValidationReport& report);
  Json add_event(int64_t step, const std::string& kind, const std::string& text);
  Json add_memory(const MemorySample& sample);
  Json set_status(const std::string& status);
  Json end(const std::string& status);

  /// The alarms, when they changed since the last call; null otherwise.
  Json changed_alarms();
  /// The whole run. Points are rows in the order of "columns".
  Json snapshot() const;
  /// Prometheus text: the last values and how many alarms there are.
  std::string metrics() const;

 private:
  Json alarms() const;

  Bands bands_;
  uint64_t memory_limit_;
  bool room_helps_;
  recipes::Health health_;
  uint64_t told_version_ = 0;
  Json run_ = Json::object();
  int64_t steps_ = 0;
  std::vector<recipes::StepReport> points_;  // of each `group_` steps, the one that is most worth keeping
  std::optional<recipes::StepReport> last_;  // the newest, kept or not
  int64_t group_ = 1, in_group_ = 0;
  std::vector<recipes::ValidationReport> validations_;
  std::vector<std::pair<int64_t, double>> volatilities_;
  std::vector<MemorySample> memory_;
  std::vector<runs::Event> events_;
};

/// Halves `points`: of each two neighbours one stays, rather that whose gradient is out of band, then that whose loss is farther from its
/// trend, so that peaks do. The first and the last stay.
std::vector<recipes::StepReport> thinned(const std::vector<recipes::StepReport>& points, const Bands& bands = {});

}  // namespace hone::serve::panel
