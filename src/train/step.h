// One optimizer step's forward and backward passes, and the same arithmetic without gradients for validation.
#pragma once

#include <functional>

#include "data/batch.h"
#include "data/loader.h"
#include "models/causal_lm.h"

namespace hone::train {

/// Sums over labelled tokens; the mean loss is sum / weight.
struct LossSum {
  double sum = 0;       // of −weight · log p(label)
  double weight = 0;    // of the labels: their number, where each counts 1
  int64_t tokens = 0;   // labelled
  int64_t correct = 0;  // label was the most likely token
  int64_t seen = 0;     // all tokens that passed through the model

  double mean() const { return weight > 0 ? sum / weight : 0; }
  double accuracy() const { return tokens ? static_cast<double>(correct) / static_cast<double>(tokens) : 0; }
};

/// A pass takes no more tokens than this, but for a sample that is longer, so that memory does not grow with the batch. More would be a
/// hundredth faster; 640 takes a third less memory and is a twentieth slower (docs/performance.md).
inline constexpr int64_t kPassTokens = 1152;

/// Tokens of the largest pass of a micro-batch of `tokens`, when samples have up to `longest`.
int64_t pass_tokens(int64_t tokens, int64_t longest);

struct StepOptions {
  uint64_t seed = 0;
  uint32_t step = 0;  // optimizer step, from 0: selects the dropout masks
  bool checkpointing = false;
  /// Asked between passes; true stops the step early (its gradients are then incomplete and must not be used).
  std::function<bool()> interrupted;
};

/// The batch as tensors the model takes.
nn::Sequence to_sequence(const data::MicroBatch& batch);

/// Adds d(Σ −weight · log p(label) / batch.loss_weight()) to every parameter's gradient, pass by pass, so that the step does not depend on how
/// it is cut into micro-batches and passes (beyond rounding). Gradients must be cleared before.
LossSum accumulate_gradients(const models::CausalLm& model, const data::StepBatch& batch, const StepOptions& options);

/// The loss over a whole validation pass; no gradients, no dropout.
LossSum evaluate(const models::CausalLm& model, data::ValidationPass& validation, const std::function<bool()>& interrupted);

/// Sets every parameter's gradient to zero, in memory that is kept from step to step.
void clear_gradients(models::CausalLm& model);

}  // namespace hone::train
