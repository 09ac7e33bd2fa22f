#include "ops/device.h"

namespace hone::ops {

thread_local int RowByRow::depth_ = 0;

Tensor decoded(const Tensor& t, DType type) {
  Tensor out = Tensor::empty(t.shape(), type);
  kernels_for(out).decode(matrix(t), out.raw_mutable(), type, threads());
  return out;
}

void check_activation(const char* op, const Tensor& t, int64_t cols) {
  HONE_CHECK(t.dtype() == DType::kF32 || t.dtype() == DType::kBF16, "{}: activation of type {}", op, name(t.dtype()));
  HONE_CHECK(t.shape().rank() >= 1 && t.shape()[-1] == cols, "{}: expected {} columns, found {}", op, cols,
             t.shape().str());
}

void accumulate(const Tensor& into, const Tensor& from) {
  HONE_CHECK(into.elements() == from.elements(), "accumulate {} into {}", from.shape().str(), into.shape().str());
  kernels_for(into).axpby(into.elements(), 1, from.raw(), from.dtype(), 1, into.raw_mutable(), into.dtype(), threads());
}

void backward(const Variable& loss) {
  autograd::set_accumulate(&accumulate);
  const float one = 1;
  autograd::backward(loss, Tensor::from(loss.shape(), std::span(&one, 1)));
}

}  // namespace hone::ops
