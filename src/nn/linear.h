// One linear layer: frozen weight in its storage format, optional bias, optional LoRA.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "ops/linear.h"

namespace hone::nn {

using autograd::Variable;

/// A whole adapter, by Linear::ordinal; A and B are undefined where it has none.
using AdapterLayers = std::vector<ops::Lora>;

/// Rows [begin, end) of a pass belong to requests that use this adapter.
struct RowAdapter {
  int64_t begin = 0, end = 0;
  const AdapterLayers* layers = nullptr;
};

/// What one forward pass needs to know besides its inputs. Copied into recomputation, so a checkpointed block draws the same
/// dropout masks again.
struct Pass {
  bool training = false;       // dropout is active
  uint64_t seed = 0;           // of the run
  uint32_t step = 0;           // optimizer step
  uint64_t first_token = 0;    // index, within the optimizer step, of this batch's first token
  float dropout = 0;           // on each block's two outputs (dropout_rate)
  const std::vector<RowAdapter>* row_adapters = nullptr;  // of requests served together; never in training
};

/// y = x·Wᵀ + bias + scale · drop(x)·Aᵀ·Bᵀ; with a magnitude m (DoRA) y = m / ‖W + scale·B·A‖ · (x·Wᵀ + scale · x·Aᵀ·Bᵀ) + bias
struct Linear {
  std::string name;   // the module's name in the checkpoint, without ".weight"
  Variable weight;    // (N, K)
  Variable bias;      // (N) F32 or undefined
  Variable lora_a;    // (R, K) F32 or undefined
  Variable lora_b;    // (N, R) F32
  float lora_scale = 1;
  float lora_dropout = 0;
  Variable magnitude;     // (N) F32 or undefined
  Tensor row_squares;     // (N) F32: Σ W² of every row, beside a magnitude
  Tensor row_norms;       // (N) F32: ‖W + scale·B·A‖, where nothing of it is trained; undefined: made anew in every pass
  Tensor start_a, start_b;  // what A and B began with, where the weight lost their product (PiSSA, OLoRA); undefined: nothing
  uint32_t ordinal = 0;  // of this layer within the model: its own dropout stream

  bool has_lora() const { return lora_a.defined(); }
  /// The adapter as the op wants it for this pass.
  ops::Lora lora(const Pass& pass) const;
  Variable forward(const Variable& x, const Pass& pass) const;
  /// addend + forward(x), or forward(x) when the addend is undefined.
  Variable forward_onto(const Variable& addend, const Variable& x, const Pass& pass) const;
};

/// The outputs of layers that read the same input, in order.
std::vector<Variable> forward_together(std::initializer_list<const Linear*> layers, const Variable& x, const Pass& pass);

}  // namespace hone::nn
