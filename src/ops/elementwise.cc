#include "ops/elementwise.h"

namespace hone::ops {
namespace {

Tensor scaled(const Tensor& x, float alpha, DType type) {
  Tensor y = Tensor::empty(x.shape(), type);
  kernels_for(x).axpby(x.elements(), alpha, x.raw(), x.dtype(), 0, y.raw_mutable(), type, threads());
  return y;
}

Tensor dropped(const Tensor& x, float p, const Rng& rng, uint64_t first) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  kernels_for(x).dropout(x.elements(), x.raw(), y.raw_mutable(), x.dtype(), p, rng, first, threads());
  return y;
}

}  // namespace

Variable add(const Variable& a, const Variable& b) {
  const profile::Scope scope("add");
  HONE_CHECK(a.shape() == b.shape() && a.value().dtype() == b.value().dtype(), "add: {} {} and {} {}",
             name(a.value().dtype()), a.shape().str(), name(b.value().dtype()), b.shape().str());
  Tensor y = a.value().clone();
  accumulate(y, b.value());
  return autograd::record("add", {a, b}, y, [](std::vector<Tensor>& dy, autograd::Gradients& out) {
    const Tensor grad = std::move(dy[0]);
    if (out.needed(0)) out.add(0, grad);
    if (out.needed(1)) out.add(1, grad);
  });
}

Variable swiglu(const Variable& gate, const Variable& up) {
  const profile::Scope scope("swiglu");
  const DType type = gate.value().dtype();
  HONE_CHECK(gate.shape() == up.shape() && up.value().dtype() == type, "swiglu: {} and {}", gate.shape().str(),
             up.shape().str());
  Tensor y = Tensor::empty(gate.shape(), type);
  kernels_for(y).swiglu(y.elements(), gate.value().raw(), up.value().raw(), y.raw_mutable(), type, threads());
  auto recipe = std::make_shared<autograd::Recipe>();
  Variable result = autograd::record("swiglu", {gate, up}, y,
                          [gate = gate.value(), up = up.value(), recipe](std::vector<Tensor>& dy, autograd::Gradients& out) {
                            recipe->made = {};
                            const Tensor upstream = std::move(dy[0]);
                            Tensor dgate = Tensor::empty(gate.shape(), gate.dtype());
                            Tensor dup = upstream.owners() == 1 ? upstream : Tensor::empty(up.shape(), up.dtype());  // in its place, element by element
                            kernels_for(gate).swiglu_backward(gate.elements(), gate.raw(), up.raw(), upstream.raw(),
                                                              dgate.raw_mutable(), dup.raw_mutable(), gate.dtype(), threads());
                            if (out.needed(0)) out.add(0, dgate);
                            if (out.needed(1)) out.add(1, dup);
                          });
  if (!result.requires_grad()) return result;
  recipe->make = [gate = gate.value(), up = up.value()] {
    Tensor again = Tensor::empty(gate.shape(), gate.dtype());
    kernels_for(again).swiglu(again.elements(), gate.raw(), up.raw(), again.raw_mutable(), gate.dtype(), threads());
    return again;
  };
  result.set_recipe(std::move(recipe));
  return result;
}

Variable dropout(const Variable& x, float p, const Rng& rng, uint64_t first) {
  HONE_CHECK(p >= 0 && p < 1, "dropout p = {}", p);
  if (p == 0) return x;
  const profile::Scope scope("dropout");
  return autograd::record("dropout", {x}, dropped(x.value(), p, rng, first),
                          [p, rng, first](std::vector<Tensor>& dy, autograd::Gradients& out) {
                            out.add(0, dropped(dy[0], p, rng, first));
                          });
}

Variable scale(const Variable& x, float alpha) {
  const profile::Scope scope("scale");
  return autograd::record("scale", {x}, scaled(x.value(), alpha, x.value().dtype()),
                          [alpha](std::vector<Tensor>& dy, autograd::Gradients& out) {
                            out.add(0, scaled(dy[0], alpha, dy[0].dtype()));
                          });
}

Variable convert(const Variable& x, DType type) {
  const DType before = x.value().dtype();
  if (before == type) return x;
  const profile::Scope scope("convert");
  return autograd::record("convert", {x}, scaled(x.value(), 1, type),
                          [before](std::vector<Tensor>& dy, autograd::Gradients& out) {
                            out.add(0, scaled(dy[0], 1, before));
                          });
}

}  // namespace hone::ops
