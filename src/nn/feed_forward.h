// The feed-forward half of a block: gated linear units, alone or as a mixture of experts.
#pragma once

#include <vector>

#include "nn/linear.h"
#include "ops/mixture.h"

namespace hone::nn {

/// y = down(silu(gate(x)) · up(x)) (Shazeer 2020)
struct SwiGlu {
  Linear gate, up, down;
  /// x (T, C) → (T, C), plus `addend` when it is defined.
  Variable forward(const Variable& addend, const Variable& x, const Pass& pass) const;
};

/// Routed experts plus shared ones that every token passes through.
struct MixtureOfExperts {
  Variable router;  // (E, C), multiplied in F32
  ops::Routing routing;
  std::vector<Linear> gate, up, down;  // one per routed expert
  SwiGlu shared;                       // undefined weights when the family has none
  Variable forward(const Variable& addend, const Variable& x, const Pass& pass) const;
};

}  // namespace hone::nn
