// NF4 codes are those of the nearest value, the lower one on a tie, for every kind of block.
#include "quant/nf4.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"

namespace hone::quant {
namespace {

int nearest(float x) {
  int best = 0;
  for (int i = 1; i < 16; ++i)
    if (std::abs(x - kNf4Values[i]) < std::abs(x - kNf4Values[best])) best = i;
  return best;
}

int code_at(const std::vector<uint8_t>& codes, size_t i) { return i % 2 ? codes[i / 2] & 15 : codes[i / 2] >> 4; }

TEST(Nf4, CodesAreTheNearestValues) {
  for (const size_t n : {size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{100'001}}) {
    std::vector<float> x(n);
    const Rng rng{5, 1, static_cast<uint32_t>(n)};
    for (size_t i = 0; i < n; ++i) x[i] = 0.02f * rng.normal(i);
    std::vector<uint8_t> codes((n + 1) / 2);
    nf4_quantize(x.data(), static_cast<int64_t>(n), codes.data());
    for (size_t begin = 0; begin < n; begin += kNf4Block) {
      const size_t end = std::min(n, begin + kNf4Block);
      float largest = 0;
      for (size_t i = begin; i < end; ++i) largest = std::max(largest, std::abs(x[i]));
      for (size_t i = begin; i < end; ++i) ASSERT_EQ(code_at(codes, i), nearest(x[i] * (1 / largest))) << i << " of " << n;
    }
  }
}

// One block scaled by 1 that holds every value, the floats beside every midpoint, and the ends.
TEST(Nf4, TiesAndNeighboursOfTiesGoWhereTheDistanceSays) {
  std::vector<float> x{1.0f, -1.0f, 0.0f};
  for (int i = 0; i < 15; ++i) {
    const float middle = kNf4Values[i] + (kNf4Values[i + 1] - kNf4Values[i]) / 2;
    for (const float v : {std::nextafter(middle, -2.0f), middle, std::nextafter(middle, 2.0f), kNf4Values[i]}) x.push_back(v);
  }
  x.resize(kNf4Block);
  std::vector<uint8_t> codes(kNf4Block / 2);
  nf4_quantize(x.data(), kNf4Block, codes.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const float* above = std::lower_bound(kNf4Values, kNf4Values + 16, x[i]);
    const auto at = above - kNf4Values;
    const auto expected = at == 0 ? 0 : x[i] - kNf4Values[at - 1] <= kNf4Values[at] - x[i] ? at - 1 : at;
    EXPECT_EQ(code_at(codes, i), expected) << x[i];
  }
}

TEST(Nf4, ZerosStayZero) {
  const std::vector<float> x(kNf4Block);
  std::vector<uint8_t> codes(kNf4Block / 2);
  const Nf4State state = nf4_quantize(x.data(), kNf4Block, codes.data());
  std::vector<float> back(kNf4Block, 1);
  nf4_dequantize(codes.data(), state, 0, kNf4Block, back.data());
  for (const float v : back) EXPECT_EQ(v, 0);
}

}  // namespace
}  // namespace hone::quant
