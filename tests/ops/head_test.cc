// The head's loss in stripes of the vocabulary (a frozen head) against rows with all their logits (a head that is trained itself).
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "ops/linear_cross_entropy.h"
#include "quant/bf16.h"
#include "quant/codec.h"
#include "quant/int8.h"

namespace hone::ops {
namespace {

struct Result {
  TokenLoss loss;
  std::vector<float> dh;
};

std::vector<float> floats(const Tensor& t) {
  std::vector<float> x(static_cast<size_t>(t.elements()));
  kernels_for(t).axpby(t.elements(), 1, t.raw(), t.dtype(), 0, x.data(), DType::kF32, threads());
  return x;
}

TEST(Head, StripesGiveWhatWholeRowsGive) {
  // More labelled rows than 16 MiB hold logits of; later words score higher, so that every row's top rises from stripe to stripe.
  const int64_t rows = 2100, cols = 24, vocab = 4001;
  ASSERT_LT(logit_columns_at_once(rows * 2 / 3, vocab), vocab / 1.3);
  const Rng rng{9, 1, 0};
  std::vector<float> h(static_cast<size_t>(rows * cols)), w(static_cast<size_t>(vocab * cols));
  // What BF16 holds, so that its products are those of F32.
  for (size_t i = 0; i < h.size(); ++i) h[i] = to_float(to_bf16(rng.normal(i)));
  for (size_t i = 0; i < w.size(); ++i) w[i] = to_float(to_bf16(rng.normal(h.size() + i) * (0.3f + static_cast<float>(i) / static_cast<float>(w.size()))));
  std::vector<int32_t> labels(static_cast<size_t>(rows));
  for (size_t t = 0; t < labels.size(); ++t) labels[t] = t % 3 == 1 ? kIgnoreLabel : static_cast<int32_t>(t * 37 % static_cast<size_t>(vocab));
  const auto compute = [&](DType type, bool trained) {
    const Tensor weight = Tensor::from({vocab, cols}, std::span<const float>(w));
    Tensor x = Tensor::empty({rows, cols}, type);
    kernels_for(x).axpby(rows * cols, 1, h.data(), DType::kF32, 0, x.raw_mutable(), type, threads());
    const Variable input = Variable::parameter(x, "h"), head = trained ? Variable::parameter(weight, "w") : Variable(weight);
    Result r{linear_cross_entropy(input, head, Tensor::from({rows}, std::span<const int32_t>(labels)), 0.5f), {}};
    backward(r.loss.loss);
    r.dh = floats(input.leaf()->grad);
    return r;
  };
  const Result whole = compute(DType::kF32, true);
  float highest = 0;
  for (const float g : whole.dh) highest = std::max(highest, std::abs(g));
  for (const DType type : {DType::kF32, DType::kBF16}) {
    const Result stripes = compute(type, false);
    EXPECT_EQ(stripes.loss.tokens, whole.loss.tokens);
    EXPECT_EQ(stripes.loss.correct, whole.loss.correct);
    EXPECT_NEAR(stripes.loss.sum, whole.loss.sum, whole.loss.sum * 1e-6);
    for (size_t i = 0; i < whole.dh.size(); ++i) ASSERT_NEAR(stripes.dh[i], whole.dh[i], highest * (type == DType::kF32 ? 2e-6f : 5e-3f)) << name(type) << ", element " << i;
  }
}

// The gradient of a nearly sure row is what two large parts leave of each other: BF16 must not round one of them alone.
TEST(Head, NearlySureRowsKeepTheirGradient) {
  const int64_t rows = 40, cols = 128, vocab = 300;
  const Rng rng{9, 3, 0};
  std::vector<float> w(static_cast<size_t>(vocab * cols)), h(static_cast<size_t>(rows * cols));
  for (size_t i = 0; i < w.size(); ++i) w[i] = rng.normal(i);
  std::vector<int32_t> labels(static_cast<size_t>(rows));
  for (size_t t = 0; t < labels.size(); ++t) {
    labels[t] = static_cast<int32_t>(t * 7);
    for (size_t i = 0; i < 128; ++i) h[t * 128 + i] = to_float(to_bf16(w[static_cast<size_t>(labels[t]) * 128 + i] * 0.11f));
  }
  const auto gradient = [&](const Tensor& weight, DType type) {
    Tensor x = Tensor::empty({rows, cols}, type);
    kernels_for(x).axpby(rows * cols, 1, h.data(), DType::kF32, 0, x.raw_mutable(), type, threads());
    const Variable input = Variable::parameter(x, "h");
    const TokenLoss loss = linear_cross_entropy(input, Variable(weight), Tensor::from({rows}, std::span<const int32_t>(labels)), 1);
    EXPECT_EQ(loss.correct, rows);
    EXPECT_LT(loss.sum / static_cast<double>(rows), 0.01);
    backward(loss.loss);
    return floats(input.leaf()->grad);
  };
  const auto encoded = [&](DType type) {
    Tensor weight = Tensor::empty({vocab, cols}, type);
    quant::encode_row(type, w.data(), vocab * cols, weight.raw_mutable());
    return weight;
  };
  auto codes = Storage::allocate(w.size()), scales = Storage::allocate(static_cast<size_t>(vocab) * sizeof(float));
  for (int64_t r = 0; r < vocab; ++r)
    reinterpret_cast<float*>(scales->data())[r] = quant::int8_quantize_row(w.data() + r * cols, cols, reinterpret_cast<int8_t*>(codes->data()) + r * cols);
  for (const Tensor& weight : {encoded(DType::kF32), encoded(DType::kQ8_0), encoded(DType::kQ4_1), Tensor::int8({vocab, cols}, codes, scales)}) {
    const std::vector<float> exact = gradient(weight, DType::kF32), found = gradient(weight, DType::kBF16);
    double error = 0, size = 0;
    for (size_t i = 0; i < exact.size(); ++i) error += std::pow(found[i] - exact[i], 2), size += std::pow(exact[i], 2);
    EXPECT_LT(std::sqrt(error / size), 0.02) << name(weight.dtype());
  }
}

// A label of weight 2 is the same as the row standing there twice, one of weight 0 as one without a label, for both kinds of head.
TEST(Head, WeightsAreRepetitions) {
  const Rng rng{9, 4, 0};
  std::vector<float> h(6 * 8), w(50 * 8);
  for (size_t i = 0; i < h.size(); ++i) h[i] = rng.normal(i);
  for (size_t i = 0; i < w.size(); ++i) w[i] = rng.normal(100 + i);
  const std::vector<int32_t> labels{3, 49, 0, 7, kIgnoreLabel, 12};
  const std::vector<float> weights{1, 2, 0, 1, 1, 3};
  struct Gradients {
    double sum = 0;
    std::vector<float> dh, dw;
  };
  const auto compute = [&](const std::vector<float>& x, const std::vector<int32_t>& ids, std::span<const float> of_labels, bool trained) {
    const auto rows = static_cast<int64_t>(ids.size());
    const Tensor weight = Tensor::from({50, 8}, std::span<const float>(w));
    const Variable input = Variable::parameter(Tensor::from({rows, 8}, std::span<const float>(x)), "h"), head = trained ? Variable::parameter(weight, "w") : Variable(weight);
    const TokenLoss loss = linear_cross_entropy(input, head, {Tensor::from({rows}, std::span<const int32_t>(ids)), of_labels}, 0.5f);
    backward(loss.loss);
    return Gradients{loss.sum, floats(input.leaf()->grad), trained ? floats(head.leaf()->grad) : std::vector<float>()};
  };
  for (const bool trained : {false, true}) {
    const Gradients weighed = compute(h, labels, weights, trained);
    std::vector<float> again;
    std::vector<int32_t> repeated;
    std::vector<size_t> first;  // of the rows that row t became
    for (size_t t = 0; t < labels.size(); ++t) {
      first.push_back(repeated.size());
      for (int n = 0; n < std::max(1, static_cast<int>(weights[t])); ++n) {
        again.insert(again.end(), h.begin() + static_cast<std::ptrdiff_t>(8 * t), h.begin() + static_cast<std::ptrdiff_t>(8 * t + 8));
        repeated.push_back(weights[t] == 0 ? kIgnoreLabel : labels[t]);
      }
    }
    const Gradients twice = compute(again, repeated, {}, trained);
    EXPECT_NEAR(weighed.sum, twice.sum, 1e-5);
    for (size_t t = 0; t < labels.size(); ++t)
      for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(weighed.dh[8 * t + i], (weights[t] == 0 ? 1 : weights[t]) * twice.dh[8 * first[t] + i], 1e-5f) << t << ' ' << i;
    for (size_t i = 0; i < weighed.dw.size(); ++i) EXPECT_NEAR(weighed.dw[i], twice.dw[i], 1e-5f);
  }
}

// Nothing is asked of the gradient in evaluation; the loss is the same number.
TEST(Head, LossAloneIsTheSame) {
  const Rng rng{9, 2, 0};
  std::vector<float> h(7 * 8), w(50 * 8);
  for (size_t i = 0; i < h.size(); ++i) h[i] = rng.normal(i);
  for (size_t i = 0; i < w.size(); ++i) w[i] = rng.normal(100 + i);
  const Tensor x = Tensor::from({7, 8}, std::span<const float>(h)), weight = Tensor::from({50, 8}, std::span<const float>(w));
  const std::vector<int32_t> labels{3, 49, 0, kIgnoreLabel, 7, 7, 12};
  const Tensor targets = Tensor::from({7}, std::span<const int32_t>(labels));
  EXPECT_EQ(linear_cross_entropy(Variable(x), Variable(weight), targets, 1).sum, linear_cross_entropy(Variable::parameter(x, "h"), Variable(weight), targets, 1).sum);
}

}  // namespace
}  // namespace hone::ops
