// The language-model head and its loss as one chunked op: the logits of all tokens never exist.
#pragma once

#include "ops/device.h"

namespace hone::ops {

inline constexpr int32_t kIgnoreLabel = -100;

struct TokenLoss {
  Variable loss;           // scalar F32: scale · Σ over labelled tokens of −log p(label)
  double sum = 0;          // Σ of −log p(label), unscaled
  int64_t tokens = 0;      // labelled tokens
  int64_t correct = 0;     // of them, those whose label was the most likely token
};

/// h (T, C) activation, weight (V, C), labels (T) I32: a token id in [0, V), or kIgnoreLabel. Only labelled rows meet the
/// head. dh (and dW for a trainable head) are computed in the forward pass, chunk by chunk, and kept.
TokenLoss linear_cross_entropy(const Variable& h, const Variable& weight, const Tensor& labels, float scale);

/// Of `rows` labelled rows, how many have their logits (of `type`) in memory at the same time.
int64_t logit_rows_at_once(int64_t rows, int64_t vocab, DType type);

}  // namespace hone::ops
