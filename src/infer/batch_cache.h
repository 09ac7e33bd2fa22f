// The key/value cache of one pass over several sequences.
#pragma once

#include <vector>

#include "infer/kv_pool.h"
#include "nn/sequence.h"

namespace hone::infer {

/// Segment s of the pass continues a sequence that holds `past` tokens in `pages`; these have room for the segment's own.
class BatchCache : public nn::KvCache {
 public:
  struct Part {
    const std::vector<KvPool::Page*>* pages = nullptr;
    int64_t past = 0, count = 0;
  };
  /// `one_by_one`: every token is one of generation, and attends for itself through kernels::cached_attention.
  BatchCache(const KvLayout& layout, std::vector<Part> parts, bool one_by_one);

  Tensor attend(int64_t layer, const Tensor& q, const Tensor& k, const Tensor& v, const ops::AttentionHeads& heads, const nn::Sequence& sequence) override;

 private:
  void store(int64_t layer, const Tensor& k, const Tensor& v) const;
  // All keys and values of every segment, one after the other, in the activation type.
  std::pair<Tensor, Tensor> gather(int64_t layer, DType type) const;

  const KvLayout& layout_;
  std::vector<Part> parts_;
  bool one_by_one_;
  Tensor key_segments_;         // (S + 1) I32
  Tensor tokens_, page_begin_;  // of cached_attention
  std::vector<const std::byte*> page_data_;
};

}  // namespace hone::infer
