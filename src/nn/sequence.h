// The tokens of one forward pass and the cache that generation keeps between passes.
#pragma once

#include "ops/attention.h"
#include "ops/rope.h"

namespace hone::nn {

/// T tokens, all samples laid end to end; there is no padding.
struct Sequence {
  Tensor ids;        // (T) I32
  Tensor positions;  // (T) I32, from 0 within each sample
  Tensor segments;   // (S + 1) I32: sample s is tokens [segments[s], segments[s + 1])
};

/// Keys and values of earlier tokens, per layer. Without one, attention sees only the tokens of this pass.
class KvCache {
 public:
  virtual ~KvCache() = default;
  /// Appends this pass's keys (T, G·D) and values (T, G·Dv) of `layer`, then lets each token of q (T, H·D) attend to those of its
  /// segment up to itself. Returns (T, H·Dv).
  virtual Tensor attend(int64_t layer, const Tensor& q, const Tensor& k, const Tensor& v, const ops::AttentionHeads& heads, const Sequence& sequence) = 0;
};

}  // namespace hone::nn
