#include "ops/encoder.h"

#include "kernels/encoder.h"

namespace hone::ops {

Variable layer_norm(const Variable& x, const Variable& weight, const Variable& bias, float eps) {
  const profile::Scope scope("layer_norm");
  autograd::forbid_grad("layer_norm", {x, weight, bias});
  const int64_t cols = weight.value().elements();
  for (const Variable* v : {&x, &weight, &bias}) HONE_CHECK(v->value().dtype() == DType::kF32, "layer_norm: {} instead of F32", name(v->value().dtype()));
  HONE_CHECK(x.shape()[-1] == cols && bias.value().elements() == cols, "layer_norm: x {}, weight {}, bias {}", x.shape().str(), weight.shape().str(), bias.shape().str());
  Tensor y = Tensor::empty(x.shape(), DType::kF32);
  kernels::layer_norm(x.value().elements() / cols, cols, x.value().data<float>(), weight.value().data<float>(), bias.value().data<float>(), eps, y.data_mutable<float>(), threads());
  return Variable(std::move(y));
}

Variable gelu(const Variable& x) {
  const profile::Scope scope("gelu");
  autograd::forbid_grad("gelu", {x});
  HONE_CHECK(x.value().dtype() == DType::kF32, "gelu: {} instead of F32", name(x.value().dtype()));
  Tensor y = Tensor::empty(x.shape(), DType::kF32);
  kernels::gelu(y.elements(), x.value().data<float>(), y.data_mutable<float>(), threads());
  return Variable(std::move(y));
}

}  // namespace hone::ops
