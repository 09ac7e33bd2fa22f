// Grouped-query attention with rotary positions.
#pragma once

#include <optional>

#include "nn/linear.h"
#include "nn/sequence.h"
#include "ops/attention.h"

namespace hone::nn {

/// out = o(softmax(scale · rope(q)·rope(k)ᵀ)·v), with q/k normalised per head where the family does so.
struct Attention {
  int64_t layer = 0;
  int64_t heads = 0, kv_heads = 0;  // H, G
  float scale = 1;
  float norm_eps = 1e-6f;
  Linear q, k, v, o;
  Variable q_norm, k_norm;  // (D) F32 or undefined

  /// x (T, C) → (T, C), plus `addend` when it is defined.
  Variable forward(const Variable& addend, const Variable& x, const Sequence& sequence, const ops::RopeTable& rope,
                   const Pass& pass, KvCache* cache) const;
};

/// Multi-head latent attention (DeepSeek-V2, 2024): queries and key/values pass through low-rank latents; one rotary key is
/// shared by all heads.
struct LatentAttention {
  int64_t layer = 0;
  int64_t heads = 0;
  int64_t nope_dim = 0, rope_dim = 0, value_dim = 0, latent_dim = 0;
  float scale = 1;
  float norm_eps = 1e-6f;
  Linear q;                 // (H·(nope+rope), C), where the family has no query latent
  Linear q_a, q_b;          // C → query latent → H·(nope+rope)
  Variable q_a_norm;        // undefined when q is used
  Linear kv_a;              // C → latent + rope
  Variable kv_a_norm;       // (latent)
  Linear kv_b;              // latent → H·(nope+value)
  Linear o;                 // H·value → C

  Variable forward(const Variable& addend, const Variable& x, const Sequence& sequence, const ops::RopeTable& rope,
                   const Pass& pass, KvCache* cache) const;
};

}  // namespace hone::nn
