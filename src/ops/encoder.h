// What encoders (BERT) are made of besides linear layers: run only, without a backward pass.
#pragma once

#include "ops/attention.h"

namespace hone::ops {

/// y = (x − mean(x)) / √(variance(x) + eps) · weight + bias over the last axis (Ba, Kiros, Hinton 2016); all F32, weight and bias (C).
Variable layer_norm(const Variable& x, const Variable& weight, const Variable& bias, float eps);

/// x/2 · (1 + erf(x/√2)) (Hendrycks & Gimpel 2016), F32.
Variable gelu(const Variable& x);

/// q, k (T, H·D), v (T, H·Dv) → (T, H·Dv): every token attends to all tokens of its segment [segments[s], segments[s+1]) (I32, S+1).
Variable bidirectional_attention(const Variable& q, const Variable& k, const Variable& v, const AttentionHeads& heads, const Tensor& segments);

}  // namespace hone::ops
