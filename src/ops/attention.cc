#include "ops/attention.h"

#include "ops/encoder.h"

namespace hone::ops {
namespace {

void check_segments(const Tensor& begin, int64_t rows) {
  HONE_CHECK(begin.dtype() == DType::kI32 && begin.elements() >= 1, "attention: segments {}", begin.shape().str());
  const int32_t* at = begin.data<int32_t>();
  const int64_t last = begin.elements() - 1;
  HONE_CHECK(at[0] == 0 && at[last] == rows, "attention: segments cover [{}, {}) of {} rows", at[0], at[last], rows);
  for (int64_t s = 0; s < last; ++s) HONE_CHECK(at[s] <= at[s + 1], "attention: segment {} ends before it begins", s);
}

// Sizes, checked. The segments must outlive the shape.
kernels::AttentionShape shape_of(const Variable& q, const Variable& k, const Variable& v, const AttentionHeads& heads, const Tensor& q_begin, const Tensor& k_begin) {
  const int64_t h = heads.heads, g = heads.kv_heads;
  HONE_CHECK(h > 0 && g > 0 && h % g == 0 && q.size(1) % h == 0 && k.size(1) % g == 0 && v.size(1) % g == 0 &&
                 q.size(1) / h == k.size(1) / g && k.size(0) == v.size(0),
             "attention: q {}, k {}, v {} with {} and {} heads", q.shape().str(), k.shape().str(), v.shape().str(), h, g);
  HONE_CHECK(q_begin.elements() == k_begin.elements(), "attention: {} query and {} key segments", q_begin.elements(),
             k_begin.elements());
  check_segments(q_begin, q.size(0));
  check_segments(k_begin, k.size(0));
  const DType type = q.value().dtype();
  HONE_CHECK(k.value().dtype() == type && v.value().dtype() == type, "attention: mixed types");

  kernels::AttentionShape shape;
  shape.segments = q_begin.elements() - 1;
  shape.q_begin = q_begin.data<int32_t>();
  shape.k_begin = k_begin.data<int32_t>();
  shape.heads = h;
  shape.kv_heads = g;
  shape.head_dim = q.size(1) / h;
  shape.value_dim = v.size(1) / g;
  shape.q_stride = q.size(1);
  shape.k_stride = k.size(1);
  shape.v_stride = v.size(1);
  shape.out_stride = h * shape.value_dim;
  shape.scale = heads.scale;
  shape.type = type;
  return shape;
}

}  // namespace

Variable attention(const Variable& q, const Variable& k, const Variable& v, const AttentionHeads& heads, const Tensor& q_begin,
                   const Tensor& k_begin) {
  const profile::Scope scope("attention");
  const kernels::AttentionShape shape = shape_of(q, k, v, heads, q_begin, k_begin);
  const DType type = shape.type;
  Tensor y = Tensor::empty({q.size(0), shape.heads * shape.value_dim}, type), lse = Tensor::empty({q.size(0), shape.heads}, DType::kF32);
  kernels_for(y).attention(shape, q.value().raw(), k.value().raw(), v.value().raw(), y.raw_mutable(),
                           lse.data_mutable<float>(), threads());
  return autograd::record(
      "attention", {q, k, v}, y,
      [q = q.value(), k = k.value(), v = v.value(), y, lse, shape, q_begin, k_begin](std::vector<Tensor>& dy, autograd::Gradients& out) {
        Tensor dq = Tensor::empty(q.shape(), q.dtype()), dk = Tensor::empty(k.shape(), k.dtype());
        Tensor dv = Tensor::empty(v.shape(), v.dtype());
        kernels_for(q).attention_backward(shape, q.raw(), k.raw(), v.raw(), y.raw(), lse.data<float>(), dy[0].raw(),
                                          dq.raw_mutable(), dk.raw_mutable(), dv.raw_mutable(), threads());
        if (out.needed(0)) out.add(0, dq);
        if (out.needed(1)) out.add(1, dk);
        if (out.needed(2)) out.add(2, dv);
      });
}

Variable bidirectional_attention(const Variable& q, const Variable& k, const Variable& v, const AttentionHeads& heads, const Tensor& segments) {
  const profile::Scope scope("bidirectional_attention");
  autograd::forbid_grad("bidirectional_attention", {q, k, v});
  kernels::AttentionShape shape = shape_of(q, k, v, heads, segments, segments);
  shape.causal = false;
  Tensor y = Tensor::empty({q.size(0), shape.heads * shape.value_dim}, shape.type), lse = Tensor::empty({q.size(0), shape.heads}, DType::kF32);
  kernels_for(y).attention(shape, q.value().raw(), k.value().raw(), v.value().raw(), y.raw_mutable(), lse.data_mutable<float>(), threads());
  return Variable(std::move(y));
}

Tensor cached_attention(const Tensor& q, const AttentionHeads& heads, int64_t value_dim, DType cache, const Tensor& tokens, const Tensor& page_begin,
                        const std::vector<const void*>& pages) {
  const profile::Scope scope("cached_attention");
  const int64_t h = heads.heads, g = heads.kv_heads, rows = q.size(0);
  HONE_CHECK(h > 0 && g > 0 && h % g == 0 && q.size(1) % h == 0 && value_dim > 0, "cached_attention: q {} with {} and {} heads", q.shape().str(), h, g);
  HONE_CHECK(cache == q.dtype() || cache == DType::kI8, "cached_attention: q {} over {}", name(q.dtype()), name(cache));
  HONE_CHECK(tokens.elements() == rows && page_begin.elements() == rows + 1, "cached_attention: {} rows, {} lengths, {} page offsets", rows, tokens.elements(),
             page_begin.elements());
  kernels::CachedAttention a;
  a.rows = rows;
  a.heads = h;
  a.kv_heads = g;
  a.head_dim = q.size(1) / h;
  a.value_dim = value_dim;
  a.q_stride = q.size(1);
  a.out_stride = h * value_dim;
  a.scale = heads.scale;
  a.type = q.dtype();
  a.cache = cache;
  a.tokens = tokens.data<int32_t>();
  a.page_begin = page_begin.data<int32_t>();
  a.pages = pages.data();
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t held = (a.page_begin[r + 1] - a.page_begin[r]) * kernels::kPageTokens;
    HONE_CHECK(a.page_begin[r] >= 0 && a.page_begin[r + 1] <= static_cast<int64_t>(pages.size()) && a.tokens[r] >= 1 && a.tokens[r] <= held,
               "cached_attention: row {} sees {} tokens in pages that hold {}", r, a.tokens[r], held);
  }
  Tensor y = Tensor::empty({rows, h * value_dim}, q.dtype());
  kernels_for(y).cached_attention(a, q.raw(), y.raw_mutable(), threads());
  return y;
}

}  // namespace hone::ops
