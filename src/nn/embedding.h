// Tokens as vectors: the table, and its low-rank change.
#pragma once

#include "ops/device.h"

namespace hone::nn {

using autograd::Variable;

/// x = table[id] + scale · A[id]·Bᵀ
struct Embedding {
  Variable table;   // (V, C)
  Variable lora_a;  // (V, R) F32 or undefined: the transpose of PEFT's lora_embedding_A, so that a token's part is a row
  Variable lora_b;  // (C, R) F32
  float lora_scale = 1;

  bool has_lora() const { return lora_a.defined(); }
  /// ids (T) I32 → (T, C) of `type`.
  Variable forward(const Tensor& ids, DType type) const;
};

}  // namespace hone::nn
