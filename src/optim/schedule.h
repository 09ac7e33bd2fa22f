// Learning-rate schedules.
#pragma once

#include <cstdint>
#include <string_view>

namespace hone::optim {

enum class ScheduleKind { kConstant, kLinear, kCosine };

std::string_view name(ScheduleKind kind);

/// Warm-up rises linearly: lr · (step + 1) / warmup. transformers has step / warmup, whose first step changes nothing; here no step
/// is lost, so that a run of one step learns, and the rates of the warm-up are transformers' of the step after. Then both fall alike,
/// from lr to lr · min_ratio at `total_steps` by the schedule's curve (linear, or half a cosine: Loshchilov & Hutter, SGDR, 2017).
struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  int64_t warmup_steps = 0;
  int64_t total_steps = 1;
  double min_ratio = 0;

  /// The factor on lr at `step` (from 0), in [0, 1].
  double factor(int64_t step) const;
};

}  // namespace hone::optim
