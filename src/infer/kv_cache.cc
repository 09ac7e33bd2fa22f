#include "infer/kv_cache.h"

#include <algorithm>
#include <cstring>

namespace hone::infer {
namespace {

void append(Tensor& all, int64_t filled, const Tensor& rows) {
  const int64_t needed = filled + rows.size(0);
  if (!all.defined() || all.size(0) < needed) {
    Tensor grown = Tensor::empty({std::max<int64_t>({64, needed, all.defined() ? all.size(0) * 2 : 0}), rows.size(1)}, rows.dtype());
    if (filled) std::memcpy(grown.raw_mutable(), all.raw(), all.rows(0, filled).bytes());
    all = grown;
  }
  if (rows.bytes()) std::memcpy(all.rows(filled, needed).raw_mutable(), rows.raw(), rows.bytes());
}

}  // namespace

Tensor SequenceCache::attend(int64_t layer, const Tensor& q, const Tensor& k, const Tensor& v, const ops::AttentionHeads& heads, const nn::Sequence& sequence) {
  HONE_CHECK(layer >= 0 && layer < static_cast<int64_t>(layers_.size()), "layer {} of {}", layer, layers_.size());
  Layer& l = layers_[static_cast<size_t>(layer)];
  append(l.k, l.tokens, k);
  append(l.v, l.tokens, v);
  l.tokens += k.size(0);
  const int32_t ends[2] = {0, static_cast<int32_t>(l.tokens)};
  const autograd::Variable keys(l.k.rows(0, l.tokens)), values(l.v.rows(0, l.tokens));
  return ops::attention(autograd::Variable(q), keys, values, heads, sequence.segments, Tensor::from({2}, std::span<const int32_t>(ends))).value();
}

void SequenceCache::truncate(int64_t tokens) {
  for (Layer& layer : layers_) layer.tokens = std::min(layer.tokens, tokens);
}

}  // namespace hone::infer
