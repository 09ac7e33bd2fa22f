#include "ops/rms_norm.h"

namespace hone::ops {

Variable rms_norm(const Variable& x, const Variable& weight, float eps) {
  const int64_t cols = weight.value().elements(), rows = x.value().elements() / cols;
  HONE_CHECK(weight.value().dtype() == DType::kF32 && x.shape()[-1] % cols == 0, "rms_norm: x {}, weight {} {}",
             x.shape().str(), name(weight.value().dtype()), weight.shape().str());
  HONE_CHECK(!weight.requires_grad() || weight.leaf(), "rms_norm: a trained weight must be a parameter");
  check_activation("rms_norm", x.value(), x.shape()[-1]);
  const DType type = x.value().dtype();
  Tensor y = Tensor::empty(x.shape(), type), rstd = Tensor::empty({rows}, DType::kF32);
  kernels_for(y).rms_norm(rows, cols, x.value().raw(), type, weight.value().data<float>(), eps, y.raw_mutable(),
                          rstd.data_mutable<float>(), threads());
  return autograd::record(
      "rms_norm", {x, weight}, y,
      [x = x.value(), w = weight.value(), rstd, rows, cols](std::vector<Tensor>& dy, autograd::Gradients& out) {
        Tensor dx = out.waiting(0);
        const bool add = dx.defined() && dx.dtype() == x.dtype();
        if (!add) dx = Tensor::empty(x.shape(), x.dtype());
        Tensor dweight = out.leaf(1);
        kernels_for(x).rms_norm_backward(rows, cols, x.raw(), dy[0].raw(), x.dtype(), w.data<float>(), rstd.data<float>(),
                                         dx.raw_mutable(), add, dweight.defined() ? dweight.data_mutable<float>() : nullptr,
                                         threads());
        if (!add && out.needed(0)) out.add(0, dx);
      });
}

}  // namespace hone::ops
