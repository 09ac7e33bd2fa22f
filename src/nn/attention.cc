#include "nn/attention.h"

#include "ops/columns.h"
#include "ops/rms_norm.h"

namespace hone::nn {
namespace {

Variable attend(const Variable& q, const Variable& k, const Variable& v, const ops::AttentionHeads& heads, int64_t layer,
                const Sequence& sequence, KvCache* cache) {
  if (!cache) return ops::attention(q, k, v, heads, sequence.segments, sequence.segments);
  autograd::forbid_grad("attention with a key/value cache", {q, k, v});
  return Variable(cache->attend(layer, q.value(), k.value(), v.value(), heads, sequence));
}

}  // namespace

Variable Attention::forward(const Variable& addend, const Variable& x, const Sequence& sequence, const ops::RopeTable& rope,
                            const Pass& pass, KvCache* cache) const {
  const std::vector<Variable> projected = forward_together({&q, &k, &v}, x, pass);
  Variable queries = projected[0], keys = projected[1];
  const Variable values = projected[2];
  if (q_norm.defined()) queries = ops::rms_norm(queries, q_norm, norm_eps);
  if (k_norm.defined()) keys = ops::rms_norm(keys, k_norm, norm_eps);
  queries = ops::rope(queries, heads, rope, sequence.positions);
  keys = ops::rope(keys, kv_heads, rope, sequence.positions);
  return o.forward_onto(addend, attend(queries, keys, values, {heads, kv_heads, scale}, layer, sequence, cache), pass);
}

Variable LatentAttention::forward(const Variable& addend, const Variable& x, const Sequence& sequence,
                                  const ops::RopeTable& rope, const Pass& pass, KvCache* cache) const {
  const Variable queries =
      q.weight.defined() ? q.forward(x, pass)
                         : q_b.forward(ops::rms_norm(q_a.forward(x, pass), q_a_norm, norm_eps), pass);
  const auto q_parts = ops::split_columns(queries, heads, {nope_dim, rope_dim});
  const Variable q_rotated = ops::rope(q_parts[1], heads, rope, sequence.positions);

  const auto latent = ops::split_columns(kv_a.forward(x, pass), 1, {latent_dim, rope_dim});
  const Variable k_rotated = ops::rope(latent[1], 1, rope, sequence.positions);
  const Variable expanded = kv_b.forward(ops::rms_norm(latent[0], kv_a_norm, norm_eps), pass);
  const auto kv_parts = ops::split_columns(expanded, heads, {nope_dim, value_dim});

  const Variable full_q = ops::join_columns({q_parts[0], q_rotated}, heads, {false, false});
  const Variable full_k = ops::join_columns({kv_parts[0], k_rotated}, heads, {false, true});
  return o.forward_onto(addend, attend(full_q, full_k, kv_parts[1], {heads, heads, scale}, layer, sequence, cache), pass);
}

}  // namespace hone::nn
