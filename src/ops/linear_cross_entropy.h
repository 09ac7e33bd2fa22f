// The language-model head and its loss as one op: the logits of all tokens never exist.
#pragma once

#include <span>

#include "ops/device.h"

namespace hone::ops {

inline constexpr int32_t kIgnoreLabel = -100;

/// What the tokens are to be.
struct Labels {
  Labels(Tensor of_tokens, std::span<const float> of_labels = {}) : ids(std::move(of_tokens)), weights(of_labels) {}
  Tensor ids;                      // (T) I32: a token id in [0, V), or kIgnoreLabel
  std::span<const float> weights;  // (T) how much each label counts in the loss; empty: 1 each
};

struct TokenLoss {
  Variable loss;           // scalar F32: scale · Σ over labelled tokens of −weight · log p(label)
  double sum = 0;          // Σ of −weight · log p(label), unscaled
  int64_t tokens = 0;      // labelled tokens
  int64_t correct = 0;     // of them, those whose label was the most likely token
};

/// A low-rank change of the head: scale · u·Bᵀ is added to the scores, u (T, R) being drop(h)·Aᵀ.
struct HeadUpdate {
  Variable u;  // (T, R), of h's type
  Variable b;  // (V, R) F32
  float scale = 1;
};

/// h (T, C) activation, weight (V, C). Only labelled rows meet the
/// head. dh (and dW for a trainable head) are computed in the forward pass, part by part, and kept.
TokenLoss linear_cross_entropy(const Variable& h, const Variable& weight, const Labels& labels, float scale, const HeadUpdate& update = {});

/// Logits in F32 that so many labelled rows have in memory at the same time: columns of the vocabulary. (Of a head that is trained
/// itself, all columns of fewer rows are, in no more bytes unless one row takes more.)
int64_t logit_columns_at_once(int64_t rows, int64_t vocab);

}  // namespace hone::ops
