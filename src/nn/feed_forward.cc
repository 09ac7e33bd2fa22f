#include "nn/feed_forward.h"

#include "ops/elementwise.h"

namespace hone::nn {
namespace {

Variable experts_forward(const Variable& x, const std::vector<int32_t>& begin, const std::vector<Linear>& experts,
                         const Pass& pass) {
  std::vector<Variable> weights;
  std::vector<ops::Lora> loras;
  bool any_lora = false;
  for (const Linear& expert : experts) {
    weights.push_back(expert.weight);
    loras.push_back(expert.lora(pass));
    any_lora |= expert.has_lora();
  }
  if (!any_lora) loras.clear();
  return ops::grouped_linear(x, begin, weights, loras);
}

}  // namespace

Variable SwiGlu::forward(const Variable& addend, const Variable& x, const Pass& pass) const {
  const std::vector<Variable> halves = forward_together({&gate, &up}, x, pass);
  return down.forward_onto(addend, ops::swiglu(halves[0], halves[1]), pass);
}

Variable MixtureOfExperts::forward(const Variable& addend, const Variable& x, const Pass& pass) const {
  const Variable logits = ops::linear(ops::convert(x, DType::kF32), router, Variable{});
  const ops::Assignment assignment = ops::route(logits, routing);
  const Variable rows = ops::dispatch(x, assignment);
  const Variable g = experts_forward(rows, assignment.begin, gate, pass), u = experts_forward(rows, assignment.begin, up, pass);
  Variable y = ops::combine(experts_forward(ops::swiglu(g, u), assignment.begin, down, pass), assignment);
  if (shared.gate.weight.defined()) y = shared.forward(y, x, pass);
  return addend.defined() ? ops::add(addend, y) : y;
}

}  // namespace hone::nn
