// The key/value cache of one growing sequence, contiguous per layer.
#pragma once

#include <vector>

#include "nn/sequence.h"

namespace hone::infer {

/// Grows by doubling. Not thread-safe.
class SequenceCache : public nn::KvCache {
 public:
  explicit SequenceCache(int64_t layers) : layers_(static_cast<size_t>(layers)) {}

  Tensor attend(int64_t layer, const Tensor& q, const Tensor& k, const Tensor& v, const ops::AttentionHeads& heads, const nn::Sequence& sequence) override;

  int64_t tokens() const { return layers_.empty() ? 0 : layers_.back().tokens; }
  /// Forgets every token from `tokens` on.
  void truncate(int64_t tokens);

 private:
  struct Layer {
    Tensor k, v;  // (capacity, G·D), (capacity, G·Dv)
    int64_t tokens = 0;
  };
  std::vector<Layer> layers_;
};

}  // namespace hone::infer
