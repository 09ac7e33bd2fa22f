// What a training run is going to do, worked out before its first step.
#pragma once

#include "data/loader.h"
#include "models/causal_lm.h"
#include "recipes/model_files.h"
#include "recipes/train.h"

namespace hone::recipes {

struct PlannedSteps {
  int64_t steps = 0;      // optimizer steps in all
  int64_t per_epoch = 0;
  bool exact = false;     // epochs of known length; otherwise an estimate
};

PlannedSteps planned_steps(const Config& config, const data::Loader& loader);

TrainPlan make_plan(const Config& config, const ModelFiles& files, models::CausalLm& model, data::Loader& loader, const PlannedSteps& steps);

/// Throws Error{kOutOfMemory} with the plan's advice when the predicted peak is more than the machine can give.
void refuse_if_too_large(const TrainPlan& plan);

}  // namespace hone::recipes
