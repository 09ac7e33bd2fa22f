// y = x·Wᵀ + bias + LoRA: the op that carries nearly all of the arithmetic.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "ops/device.h"

namespace hone::ops {

/// A low-rank update of one linear weight (Hu et al. 2021): scale · drop(x)·Aᵀ·Bᵀ.
struct Lora {
  Variable a;         // (R, K) F32
  Variable b;         // (N, R) F32
  float scale = 1;    // alpha / R, or alpha / √R for rsLoRA
  float dropout = 0;  // on x, for the low-rank path alone
  Rng rng;            // where the dropout mask is drawn from
  uint64_t first = 0;  // index of the mask's first element in that stream
};

/// x (T, K) activation; weight (N, K) in any storage type; bias (N) F32 or undefined; → (T, N) of out_type (x's type when
/// not given). A weight that is a leaf (full fine-tuning) must be F32.
/// Keeps x and x·Aᵀ. Backward: dx = dy·W + s·(dy·B)·A, dW += dyᵀ·x, dA += s·(dy·B)ᵀ·x, dB += s·dyᵀ·(x·Aᵀ).
Variable linear(const Variable& x, const Variable& weight, const Variable& bias, const Lora* lora = nullptr);
Variable linear(const Variable& x, const Variable& weight, const Variable& bias, const Lora* lora, DType out_type);

/// One of several layers that read the same input.
struct LinearLayer {
  Variable weight;  // (N, K)
  Variable bias;    // (N) F32 or undefined
  const Lora* lora = nullptr;
};

constexpr size_t kMaxTogether = kernels::kMaxProducts / 2;

/// Low-rank updates that rows [begin, end) of a batch have for themselves, one for each layer (null or without A: none). They are added
/// to the layers' outputs, rounded twice, whatever rows there are besides. Without dropout and without a backward pass.
struct RowLoras {
  int64_t begin = 0, end = 0;
  std::array<const Lora*, kMaxTogether> layers{};
};

/// The same for up to kMaxTogether layers over one x, which is packed once; dx is one sum. → one (T, N) each, of x's type.
std::vector<Variable> linear_together(const Variable& x, const std::vector<LinearLayer>& layers, std::span<const RowLoras> rows = {});

/// addend (T, N) + the layer's output, rounded once: a residual connection without a pass of its own.
Variable linear_onto(const Variable& addend, const Variable& x, const LinearLayer& layer, std::span<const RowLoras> rows = {});

/// Mixture of experts: rows [begin[e], begin[e+1]) of x go through weights[e] (and loras[e], when not empty).
/// x (S, K) sorted by expert → (S, N). begin has weights.size() + 1 entries. Experts without rows cost nothing.
Variable grouped_linear(const Variable& x, const std::vector<int32_t>& begin, const std::vector<Variable>& weights,
                        const std::vector<Lora>& loras);

}  // namespace hone::ops
