// Gradients that are recomputed, switched off and refused.
#include <cmath>

#include "ops/elementwise.h"
#include "ops/gradient_check.h"
#include "ops/linear.h"

namespace hone::ops::testing {
namespace {

TEST(Checkpoint, ChangesNoGradient) {
  const std::vector<float> x{0.3f, -1.2f, 0.7f, 0.1f, 2.0f, -0.4f}, w{0.2f, 0.5f, -0.3f, 1.1f, 0.9f, -0.7f, 0.4f, 0.6f, -1.0f};
  auto gradients = [&](bool checkpointing) {
    const Variable input = Variable::parameter(Tensor::from({2, 3}, std::span<const float>(x)), "x");
    const Variable weight = Variable::parameter(Tensor::from({3, 3}, std::span<const float>(w)), "w");
    auto block = [weight](const Variable& v) { return swiglu(linear(v, weight, Variable{}), v); };
    auto apply = [&](const Variable& v) { return checkpointing ? autograd::checkpoint(block, v) : block(v); };
    const Variable y = apply(apply(input));
    autograd::set_accumulate(&accumulate);
    autograd::backward(y, Tensor::from({2, 3}, std::span<const float>(x)));
    std::vector<float> all(input.leaf()->grad.data<float>(), input.leaf()->grad.data<float>() + 6);
    all.insert(all.end(), weight.leaf()->grad.data<float>(), weight.leaf()->grad.data<float>() + 9);
    return all;
  };
  // Equal to rounding: the block's two gradients of its input are added in another order.
  const auto plain = gradients(false), recomputed = gradients(true);
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(plain[i], recomputed[i], 1e-5 * std::abs(plain[i]) + 1e-7);
}

TEST(NoGrad, RecordsNothing) {
  const std::vector<float> x{1, 2};
  const Variable input = Variable::parameter(Tensor::from({1, 2}, std::span<const float>(x)), "x");
  autograd::NoGrad guard;
  EXPECT_FALSE(scale(input, 2).requires_grad());
}

TEST(ForbidGrad, RefusesAtForwardTime) {
  const std::vector<float> x{1, 2};
  const Variable input = Variable::parameter(Tensor::from({1, 2}, std::span<const float>(x)), "x");
  EXPECT_THROW(autograd::forbid_grad("op", {input}), Error);
  EXPECT_NO_THROW(autograd::forbid_grad("op", {input.detach()}));
}

}  // namespace
}  // namespace hone::ops::testing
