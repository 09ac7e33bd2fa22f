// Ops of encoders against their formulas in double, and their refusal to lose a gradient.
#include "ops/encoder.h"

#include <gtest/gtest.h>

#include "ops/gradient_check.h"

namespace hone::ops {
namespace {

Tensor random(Shape shape, uint64_t seed, float scale = 2) {
  Tensor t = Tensor::empty(shape, DType::kF32);
  const Rng rng{seed, Rng::kInit, 0};
  for (int64_t i = 0; i < t.elements(); ++i) t.data_mutable<float>()[i] = scale * (2 * rng.uniform(static_cast<uint64_t>(i)) - 1);
  return t;
}

TEST(Encoder, LayerNorm) {
  for (const int64_t cols : {1, 7, 8, 384}) {
    const Tensor x = random({5, cols}, 1, 30), weight = random({cols}, 2), bias = random({cols}, 3);
    const Tensor y = layer_norm(x, weight, bias, 1e-5f).value();
    for (int64_t r = 0; r < 5; ++r) {
      const float* row = x.data<float>() + r * cols;
      double mean = 0, variance = 0;
      for (int64_t i = 0; i < cols; ++i) mean += row[i] / static_cast<double>(cols);
      for (int64_t i = 0; i < cols; ++i) variance += (row[i] - mean) * (row[i] - mean) / static_cast<double>(cols);
      for (int64_t i = 0; i < cols; ++i)
        EXPECT_NEAR(y.data<float>()[r * cols + i], (row[i] - mean) / std::sqrt(variance + 1e-5) * weight.data<float>()[i] + bias.data<float>()[i], 2e-5) << cols << " " << r << " " << i;
    }
  }
}

TEST(Encoder, Gelu) {
  std::vector<float> values = {0, -0.0f, 1e-20f, 100, -100, 1e30f, -1e30f};
  for (int i = -800; i <= 800; ++i) values.push_back(static_cast<float>(i) / 100);
  const Tensor y = gelu(Tensor::from({static_cast<int64_t>(values.size())}, std::span<const float>(values))).value();
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(y.data<float>()[i], 0.5 * values[i] * (1 + std::erf(values[i] / std::sqrt(2.0))), 2e-6 * std::max(1.0f, std::fabs(values[i]))) << values[i];
  EXPECT_TRUE(std::isnan(gelu(Tensor::from({1}, std::span<const float>(std::vector<float>{NAN}))).value().data<float>()[0]));
}

// Segments of one token, of less and more than a block of keys, and an empty one.
TEST(Encoder, BidirectionalAttention) {
  const std::vector<int32_t> begins = {0, 1, 1, 48, 250};
  const int64_t tokens = begins.back(), heads = 3, dim = 5, wide = heads * dim;
  const Tensor q = random({tokens, wide}, 4), k = random({tokens, wide}, 5), v = random({tokens, wide}, 6);
  const Tensor y = bidirectional_attention(q, k, v, {heads, heads, 0.4f}, Tensor::from({static_cast<int64_t>(begins.size())}, std::span<const int32_t>(begins))).value();
  for (size_t s = 0; s + 1 < begins.size(); ++s)
    for (int64_t t = begins[s]; t < begins[s + 1]; ++t)
      for (int64_t h = 0; h < heads; ++h) {
        std::vector<double> sums(static_cast<size_t>(dim));
        double total = 0;
        for (int64_t j = begins[s]; j < begins[s + 1]; ++j) {
          double dot = 0;
          for (int64_t d = 0; d < dim; ++d) dot += double{q.data<float>()[t * wide + h * dim + d]} * k.data<float>()[j * wide + h * dim + d];
          const double weight = std::exp(0.4 * dot);
          total += weight;
          for (int64_t d = 0; d < dim; ++d) sums[static_cast<size_t>(d)] += weight * v.data<float>()[j * wide + h * dim + d];
        }
        for (int64_t d = 0; d < dim; ++d) ASSERT_NEAR(y.data<float>()[t * wide + h * dim + d], sums[static_cast<size_t>(d)] / total, 2e-5) << s << " " << t << " " << h;
      }
}

Variable wanted(Shape shape) { return Variable::parameter(random(shape, 7), "x"); }

TEST(OpRefusal, layer_norm) {
  const Tensor one = random({4}, 1);
  EXPECT_THROW(layer_norm(wanted({2, 4}), one, one, 1e-5f), Error);
  EXPECT_THROW(layer_norm(random({2, 4}, 1), wanted({4}), one, 1e-5f), Error);
  const autograd::NoGrad no_grad;
  EXPECT_NO_THROW(layer_norm(wanted({2, 4}), one, one, 1e-5f));
}

TEST(OpRefusal, gelu) { EXPECT_THROW(gelu(wanted({2, 4})), Error); }

TEST(OpRefusal, bidirectional_attention) {
  const Tensor x = random({2, 4}, 1), segments = Tensor::from({2}, std::span<const int32_t>(std::vector<int32_t>{0, 2}));
  EXPECT_THROW(bidirectional_attention(wanted({2, 4}), x, x, {2, 2, 1}, segments), Error);
  EXPECT_THROW(bidirectional_attention(x, x, wanted({2, 4}), {2, 2, 1}, segments), Error);
}

}  // namespace
}  // namespace hone::ops
