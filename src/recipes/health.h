// What is normal in a run: bands, volatility and alarms, computed from its reports alone.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "recipes/train.h"

namespace hone::recipes {

/// How far losses of consecutive steps lie from the straight line fitted to them, as a share of their mean: the standard deviation of
/// what the line leaves over |mean|. A loss that falls steadily has none. NaN for fewer than three losses, one
/// that is not finite, or a mean of 0.
double volatility(std::span<const double> losses);

enum class Place { kInside, kBelow, kAbove, kNotFinite };
/// Where a value lies; both bounds are inside.
Place place(double value, double low, double high);

/// "grad_norm=0.1:5,volatility=0.05,memory=0.7:0.9", any part of it; the rest stays as in `bands`. Throws Error{kInvalidInput}.
Bands parse_bands(const std::string& text, Bands bands = {});

/// One kind of deviation, over all the steps that showed it.
struct Alarm {
  std::string kind;     // "grad_norm_high", "grad_norm_low", "volatility", "memory_high", "memory_low", "not_finite", "loss_rises", "overfitting"
  bool serious = true;  // false: worth a hint only
  int64_t first = 0, last = 0, count = 0;  // steps
  double worst = 0, bound = 0;             // the value farthest outside, and the bound it crossed
};

/// What to do about an alarm of this kind, in English; empty for a kind that does not exist.
std::string advice(const std::string& kind);

/// An alarm that begins: its kind was not seen before, or not for a while (a hint: not before).
struct Notice {
  std::string kind;
  bool serious = true;
  int64_t step = 0;
  double value = 0, bound = 0;

  /// "grad_norm_high: gradient norm 9.1, bound 5: lower …"; shares in per cent, as the panel shows them.
  std::string text() const;
};

/// Follows one run.
class Health {
 public:
  /// `memory_limit`: bytes that the run may use; 0: unknown, its memory is not judged. `room_helps`: the run pays for having little memory
  /// (TrainPlan::room_helps); else memory that is left over is no reason for a hint.
  explicit Health(const Bands& bands, uint64_t memory_limit = 0, bool room_helps = false) : bands_(bands), memory_limit_(memory_limit), room_helps_(room_helps) {}

  /// Takes the next step; the volatility when one is due: at every step that the window's length divides. Steps must rise; a gap
  /// begins a new window. While the learning rate still rises from step to step (warm-up), losses that fluctuate raise no alarm.
  std::optional<double> add(const recipes::StepReport& report);
  void add(const recipes::ValidationReport& report);
  void add_memory(int64_t step, uint64_t bytes);

  /// In the order in which they were first raised.
  const std::vector<Alarm>& alarms() const { return alarms_; }
  /// Grows whenever an alarm is raised or raised again.
  uint64_t version() const { return version_; }
  /// The alarms that began since the last call.
  std::vector<Notice> take_notices() { return std::exchange(notices_, {}); }

 private:
  void raise(const char* kind, bool serious, int64_t step, double value, double bound);

  void follow_warm_up(const recipes::StepReport& report);

  Bands bands_;
  uint64_t memory_limit_;
  bool room_helps_;
  std::vector<Alarm> alarms_;
  std::vector<Notice> notices_;
  uint64_t version_ = 0;
  std::deque<double> window_;
  int64_t last_step_ = 0, warm_until_ = 0;  // the last step of the warm-up
  std::optional<double> last_rate_;         // the schedule's, without the factor of the panel
  bool warm_ = true;
  std::optional<double> lowest_smoothed_, lowest_validation_;
};

}  // namespace hone::recipes
