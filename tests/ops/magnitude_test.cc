// Weight decomposition: its gradient, and the lengths of rows it needs.
#include <cmath>

#include "ops/gradient_check.h"
#include "ops/magnitude.h"

namespace hone::ops::testing {
namespace {

TEST(OpGradient, magnitude) {
  const size_t rows = 5, cols = 7;
  const std::vector<float> norm{1, 2, 0.5f, 3, 1.5f, 0.25f, 4};
  const Tensor norms = Tensor::from({static_cast<int64_t>(cols)}, std::span<const float>(norm));
  run({{{{5, 7}}, {{7}}, {{7}}, {{5, 7}}},
       [&](auto& v) { return magnitude(v[0], v[1], norms, v[2], v[3]); },
       [&](auto& v) {
         Array y(rows * cols);
         for (size_t t = 0; t < rows; ++t)
           for (size_t c = 0; c < cols; ++c) y[t * cols + c] = v[0][t * cols + c] * v[1][c] / norm[c] + v[2][c] + v[3][t * cols + c];
         return y;
       }}, {0, 3});
}

// ‖W + s·B·A‖ without the sum, of weights as they are stored.
TEST(RowNorms, AreThoseOfTheSum) {
  const int64_t rows = 37, cols = 64, rank = 3;
  const Rng rng{5, 1, 0};
  const auto random = [&](int64_t n, int64_t k, uint64_t from) {
    Tensor t = Tensor::empty({n, k}, DType::kF32);
    for (int64_t i = 0; i < t.elements(); ++i) t.data_mutable<float>()[i] = rng.normal(from + static_cast<uint64_t>(i));
    return t;
  };
  const Tensor plain = random(rows, cols, 0);
  Lora lora{Variable(random(rank, cols, 10000)), Variable(random(rows, rank, 20000)), -0.6f, 0, {}, 0};
  Tensor rounded = Tensor::empty(plain.shape(), DType::kBF16);
  kernels_for(plain).axpby(plain.elements(), 1, plain.raw(), DType::kF32, 0, rounded.raw_mutable(), DType::kBF16, threads());
  for (const Tensor& weight : {plain, rounded}) {
    const Tensor norms = row_norms(weight, row_squares(weight), lora);
    for (int64_t n = 0; n < rows; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < cols; ++k) {
        double value = weight.dtype() == DType::kF32 ? weight.data<float>()[n * cols + k] : to_float(weight.data<BF16>()[n * cols + k]);
        for (int64_t r = 0; r < rank; ++r) value += double{lora.scale} * lora.b.value().data<float>()[n * rank + r] * lora.a.value().data<float>()[r * cols + k];
        sum += value * value;
      }
      EXPECT_NEAR(norms.data<float>()[n], std::sqrt(sum), 1e-5 * std::sqrt(sum)) << n;
    }
  }
}

}  // namespace
}  // namespace hone::ops::testing
