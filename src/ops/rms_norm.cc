#include "ops/rms_norm.h"

namespace hone::ops {
namespace {

Tensor normalized(const Tensor& x, const Tensor& weight, float eps, const Tensor& rstd) {
  const int64_t cols = weight.elements();
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  kernels_for(y).rms_norm(x.elements() / cols, cols, x.raw(), x.dtype(), weight.data<float>(), eps, y.raw_mutable(),
                          rstd.data_mutable<float>(), threads());
  return y;
}

}  // namespace

Variable rms_norm(const Variable& x, const Variable& weight, float eps) {
  const profile::Scope scope("rms_norm");
  const int64_t cols = weight.value().elements(), rows = x.value().elements() / cols;
  HONE_CHECK(weight.value().dtype() == DType::kF32 && x.shape()[-1] % cols == 0, "rms_norm: x {}, weight {} {}",
             x.shape().str(), name(weight.value().dtype()), weight.shape().str());
  HONE_CHECK(!weight.requires_grad() || weight.leaf(), "rms_norm: a trained weight must be a parameter");
  check_activation("rms_norm", x.value(), x.shape()[-1]);
  const Tensor rstd = Tensor::empty({rows}, DType::kF32), y = normalized(x.value(), weight.value(), eps, rstd);
  auto recipe = std::make_shared<autograd::Recipe>();
  Variable result = autograd::record(
      "rms_norm", {x, weight}, y,
      [x = x.value(), w = weight.value(), rstd, rows, cols, recipe](std::vector<Tensor>& dy, autograd::Gradients& out) {
        recipe->made = {};
        Tensor dx = out.waiting(0);
        const bool add = dx.defined() && dx.dtype() == x.dtype();
        if (!add) dx = Tensor::empty(x.shape(), x.dtype());
        Tensor dweight = out.leaf(1);
        kernels_for(x).rms_norm_backward(rows, cols, x.raw(), dy[0].raw(), x.dtype(), w.data<float>(), rstd.data<float>(),
                                         dx.raw_mutable(), add, dweight.defined() ? dweight.data_mutable<float>() : nullptr,
                                         threads());
        if (!add && out.needed(0)) out.add(0, dx);
      });
  if (!result.requires_grad()) return result;
  recipe->make = [x = x.value(), w = weight.value(), rstd, eps] { return normalized(x, w, eps, rstd); };
  result.set_recipe(std::move(recipe));
  return result;
}

}  // namespace hone::ops
