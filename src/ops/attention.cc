#include "ops/attention.h"

namespace hone::ops {
namespace {

void check_segments(const Tensor& begin, int64_t rows) {
  HONE_CHECK(begin.dtype() == DType::kI32 && begin.elements() >= 1, "attention: segments {}", begin.shape().str());
  const int32_t* at = begin.data<int32_t>();
  const int64_t last = begin.elements() - 1;
  HONE_CHECK(at[0] == 0 && at[last] == rows, "attention: segments cover [{}, {}) of {} rows", at[0], at[last], rows);
  for (int64_t s = 0; s < last; ++s) HONE_CHECK(at[s] <= at[s + 1], "attention: segment {} ends before it begins", s);
}

}  // namespace

Variable attention(const Variable& q, const Variable& k, const Variable& v, const AttentionHeads& heads, const Tensor& q_begin,
                   const Tensor& k_begin) {
  const profile::Scope scope("attention");
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

  Tensor y = Tensor::empty({q.size(0), h * shape.value_dim}, type), lse = Tensor::empty({q.size(0), h}, DType::kF32);
  kernels_for(y).attention(shape, q.value().raw(), k.value().raw(), v.value().raw(), y.raw_mutable(),
                           lse.data_mutable<float>(), threads());
  return autograd::record(
      "attention", {q, k, v}, y,
      [q = q.value(), k = k.value(), v = v.value(), y, lse, shape, q_begin, k_begin](std::vector<Tensor>& dy,
                                                                                    autograd::Gradients& out) {
        Tensor dq = Tensor::empty(q.shape(), q.dtype()), dk = Tensor::empty(k.shape(), k.dtype());
        Tensor dv = Tensor::empty(v.shape(), v.dtype());
        kernels_for(q).attention_backward(shape, q.raw(), k.raw(), v.raw(), y.raw(), lse.data<float>(), dy[0].raw(),
                                          dq.raw_mutable(), dk.raw_mutable(), dv.raw_mutable(), threads());
        if (out.needed(0)) out.add(0, dq);
        if (out.needed(1)) out.add(1, dk);
        if (out.needed(2)) out.add(2, dv);
      });
}

}  // namespace hone::ops
