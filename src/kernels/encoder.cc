#include "kernels/encoder.h"

#include <algorithm>
#include <cmath>

namespace hone::kernels {
namespace {

constexpr int64_t kEncodedPerTask = 1 << 14;
constexpr int64_t kSums = 8;  // running sums of a row: independent, in a fixed order

// Σ f(x[i])
template <class F>
float sum_of(int64_t n, const float* x, F f) {
  float sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= n; i += kSums)
    for (int64_t k = 0; k < kSums; ++k) sums[k] += f(x[i + k]);
  for (; i < n; ++i) sums[0] += f(x[i]);
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

// erf(z) = 1 − (1 + a₁z + … + a₆z⁶)⁻¹⁶ for z ≥ 0
float erf_of_magnitude(float z) {
  const float p = 1 + z * (0.0705230784f + z * (0.0422820123f + z * (0.0092705272f + z * (0.0001520143f + z * (0.0002765672f + z * 0.0000430638f)))));
  const float p2 = p * p, p4 = p2 * p2, p8 = p4 * p4;
  return 1 - 1 / (p8 * p8);
}

}  // namespace

void layer_norm(int64_t rows, int64_t cols, const float* x, const float* weight, const float* bias, float eps, float* y, ThreadPool& pool) {
  pool.ranges(rows, std::max<int64_t>(1, kEncodedPerTask / std::max<int64_t>(cols, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* in = x + r * cols;
      float* out = y + r * cols;
      const float mean = sum_of(cols, in, [](float v) { return v; }) / static_cast<float>(cols);
      const float variance = sum_of(cols, in, [mean](float v) { return (v - mean) * (v - mean); }) / static_cast<float>(cols);
      const float scale = 1 / std::sqrt(variance + eps);
      for (int64_t i = 0; i < cols; ++i) out[i] = (in[i] - mean) * scale * weight[i] + bias[i];
    }
  });
}

void gelu(int64_t n, const float* x, float* y, ThreadPool& pool) {
  pool.ranges(n, kEncodedPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      // The power overflows beyond 10¹⁰; erf(6) is 1 already.
      const float v = x[i], z = std::min(std::fabs(v) * 0.70710678f, 6.0f);
      y[i] = 0.5f * v * (1 + std::copysign(erf_of_magnitude(z), v));
    }
  });
}

}  // namespace hone::kernels
