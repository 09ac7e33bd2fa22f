// Attention over a key/value cache belongs to generation: where a gradient would be needed it refuses to run.
#include <gtest/gtest.h>

#include <vector>

#include "nn/attention.h"

namespace hone::nn {
namespace {

class NoCache : public KvCache {
 public:
  Tensor attend(int64_t, const Tensor&, const Tensor&, const Tensor& v, const ops::AttentionHeads&, const Sequence&) override { return v; }
  static constexpr int32_t kSegments[] = {0, 3};
};

TEST(AttentionWithCache, RefusesWhereAGradientIsWanted) {
  constexpr int64_t kTokens = 3, kWidth = 8;
  Attention attention;
  attention.heads = attention.kv_heads = 2;
  for (Linear* linear : {&attention.q, &attention.k, &attention.v, &attention.o}) linear->weight = Variable(Tensor::zeros({kWidth, kWidth}, DType::kF32));
  const ops::RopeTable rope{Tensor::zeros({kTokens, 2}, DType::kF32), Tensor::zeros({kTokens, 2}, DType::kF32), false};
  const std::vector<int32_t> positions{0, 1, 2};
  const Sequence sequence{Tensor::from({kTokens}, std::span(positions)), Tensor::from({kTokens}, std::span(positions)),
                          Tensor::from({2}, std::span<const int32_t>(NoCache::kSegments))};
  NoCache cache;
  const Tensor x = Tensor::zeros({kTokens, kWidth}, DType::kF32);
  EXPECT_NO_THROW(attention.forward({}, Variable(x), sequence, rope, {}, &cache));
  const Variable wanted = Variable::parameter(x, "x");
  EXPECT_TRUE(attention.forward({}, wanted, sequence, rope, {}, nullptr).requires_grad());
  try {
    attention.forward({}, wanted, sequence, rope, {}, &cache);
    FAIL() << "the gradient would be lost";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_FALSE(error.hint().empty());
  }
  const autograd::NoGrad no_grad;
  EXPECT_NO_THROW(attention.forward({}, wanted, sequence, rope, {}, &cache));
}

}  // namespace
}  // namespace hone::nn
