// Checks an op against a reference written in double: outputs directly, gradients by central differences of the reference.
//
// The kernels compute in F32, where differences of the op itself would drown in rounding: with a step h the quotient's error is
// about 1e-7 / h, and h small enough for the curvature leaves two or three digits. So the differences are taken of the double
// reference (h = 1e-5: an error of about 1e-10), the op's forward pass must equal the reference, and its backward pass must
// equal the reference's differences; together they say that the backward pass belongs to the forward pass. The tolerance is
// what F32 sums of at most a few hundred terms and the kernels' exponentials (a few units in the last place) leave.
//
// Each check is made three ways: as it is; with every input coming from another op instead of being a parameter, where a
// gradient must arrive or the op must refuse, never be lost; and with BF16 activations, as training uses them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "base/rng.h"
#include "ops/device.h"
#include "ops/elementwise.h"
#include "quant/bf16.h"

namespace hone::ops::testing {

using Array = std::vector<double>;

struct Input {
  Shape shape;
  double low = -1, high = 1;
};

struct Check {
  std::vector<Input> inputs;
  std::function<Variable(const std::vector<Variable>&)> op;
  std::function<Array(const std::vector<Array>&)> reference;
  double tolerance = 2e-5;  // relative to the largest magnitude of what is compared
  uint64_t seed = 1;
};

// BF16 keeps 8 bits: 2^-9 in each value, a few of which add up.
inline constexpr double kBF16Tolerance = 3e-2;

enum class Variation { kPlain, kComputedInput, kBF16 };

inline void expect_close(const Array& expected, const float* found, double tolerance, const std::string& what) {
  double largest = 1e-3;
  for (double e : expected) largest = std::max(largest, std::abs(e));
  for (size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(expected[i], found[i], tolerance * largest) << what << ", element " << i << " of " << expected.size();
}

inline void run_as(const Check& check, const std::vector<size_t>& activations, Variation variation, size_t computed) {
  const bool bf16 = variation == Variation::kBF16;
  const double tolerance = bf16 ? kBF16Tolerance : check.tolerance;
  std::vector<Array> values;
  std::vector<Variable> variables;
  uint64_t index = 0;
  const Rng rng{check.seed, 0, 0};
  for (const Input& input : check.inputs) {
    std::vector<float> x(static_cast<size_t>(input.shape.elements()));
    for (float& v : x) {
      v = static_cast<float>(input.low + (input.high - input.low) * rng.uniform(index++));
      if (bf16) v = to_float(to_bf16(v));
    }
    values.emplace_back(x.begin(), x.end());
    variables.push_back(Variable::parameter(Tensor::from(input.shape, std::span<const float>(x)), "x"));
  }
  std::vector<Variable> given = variables;
  if (variation == Variation::kComputedInput) given[computed] = scale(given[computed], 1);
  if (bf16)
    for (const size_t i : activations) given[i] = convert(given[i], DType::kBF16);
  Variable y;
  try {
    y = check.op(given);
  } catch (const Error&) {
    if (variation == Variation::kComputedInput) return;  // refused, not lost
    throw;
  }
  if (bf16) y = convert(y, DType::kF32);
  const Array expected = check.reference(values);
  ASSERT_EQ(static_cast<int64_t>(expected.size()), y.value().elements());
  expect_close(expected, y.value().data<float>(), tolerance, "output");

  std::vector<float> dy(expected.size());
  for (float& v : dy) v = 2 * rng.uniform(index++) - 1;
  autograd::set_accumulate(&accumulate);
  ASSERT_TRUE(y.requires_grad());
  try {
    autograd::backward(y, Tensor::from(y.shape(), std::span<const float>(dy)));
  } catch (const Error&) {
    if (variation == Variation::kComputedInput) return;
    throw;
  }

  constexpr double h = 1e-5;
  for (size_t i = 0; i < values.size(); ++i) {
    Array numeric(values[i].size());
    for (size_t j = 0; j < values[i].size(); ++j) {
      auto moved = values;
      moved[i][j] += h;
      const Array up = check.reference(moved);
      moved[i][j] -= 2 * h;
      const Array down = check.reference(moved);
      for (size_t k = 0; k < up.size(); ++k) numeric[j] += (up[k] - down[k]) / (2 * h) * dy[k];
    }
    Tensor grad = variables[i].leaf()->grad;
    if (!grad.defined()) grad = Tensor::zeros(variables[i].shape(), DType::kF32);  // nothing reached it
    expect_close(numeric, grad.data<float>(), tolerance, "gradient of input " + std::to_string(i));
  }
}

/// `activations`: the inputs that may be BF16.
inline void run(const Check& check, const std::vector<size_t>& activations = {}) {
  run_as(check, activations, Variation::kPlain, 0);
  for (size_t i = 0; i < check.inputs.size(); ++i) {
    SCOPED_TRACE("input " + std::to_string(i) + " comes from another op");
    run_as(check, activations, Variation::kComputedInput, i);
  }
  if (activations.empty()) return;
  SCOPED_TRACE("BF16 activations");
  run_as(check, activations, Variation::kBF16, 0);
}

/// c (m, n) = op(a) (m, k) · op(b) (k, n) in double.
inline Array product(const Array& a, bool a_t, const Array& b, bool b_t, int64_t m, int64_t k, int64_t n) {
  Array c(static_cast<size_t>(m * n));
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t l = 0; l < k; ++l)
        c[static_cast<size_t>(i * n + j)] += a[static_cast<size_t>(a_t ? l * m + i : i * k + l)] *
                                             b[static_cast<size_t>(b_t ? j * k + l : l * n + j)];
  return c;
}

}  // namespace hone::ops::testing
