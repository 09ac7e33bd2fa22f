// Causal softmax attention over packed segments (tiled forward and backward, Dao et al. 2022).
#pragma once

#include "ops/device.h"

namespace hone::ops {

struct AttentionHeads {
  int64_t heads = 0, kv_heads = 0;  // query heads; key/value heads, which divide them
  float scale = 1;
};

/// q (Tq, H·D), k (Tk, G·D), v (Tk, G·Dv) → (Tq, H·Dv). Segment s is query rows [q_begin[s], q_begin[s+1]) with key rows
/// [k_begin[s], k_begin[s+1]) (I32, S+1 each); nothing crosses segments, and the last query of a segment sees its last key.
/// Keeps q, k, v, the output and one log-sum-exp per query and head; never a Tq×Tk buffer.
Variable attention(const Variable& q, const Variable& k, const Variable& v, const AttentionHeads& heads, const Tensor& q_begin,
                   const Tensor& k_begin);

/// One query per sequence, q (B, H·D), over cached keys and values; see kernels::CachedAttention. Row r sees the first tokens[r] keys
/// (I32, B) of pages[page_begin[r]] … (I32, B+1), each kPageTokens tokens of one layer with values of `value_dim` per head, in q's type
/// or I8 (`cache`). Returns (B, H·Dv). Has no backward pass.
Tensor cached_attention(const Tensor& q, const AttentionHeads& heads, int64_t value_dim, DType cache, const Tensor& tokens, const Tensor& page_begin,
                        const std::vector<const void*>& pages);

}  // namespace hone::ops
