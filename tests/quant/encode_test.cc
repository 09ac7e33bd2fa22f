#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "quant/codec.h"

namespace hone::quant {
namespace {

std::vector<float> round_trip(DType type, const std::vector<float>& x) {
  const auto n = static_cast<int64_t>(x.size());
  std::vector<unsigned char> bytes(static_cast<size_t>(row_bytes(type, n)));
  encode_row(type, x.data(), n, bytes.data());
  std::vector<float> y(x.size());
  decode_row(type, bytes.data(), n, y.data());
  return y;
}

double relative_error(const std::vector<float>& x, const std::vector<float>& y) {
  double error = 0, size = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    error += (x[i] - y[i]) * (x[i] - y[i]);
    size += x[i] * x[i];
  }
  return std::sqrt(error / size);
}

struct Bound { DType type; double error; };
// Root mean square errors on normal numbers: what each format's bits allow, with a little room.
constexpr Bound kBounds[] = {{DType::kF32, 0},       {DType::kF16, 3e-4},   {DType::kBF16, 2.5e-3}, {DType::kQ8_0, 0.006}, {DType::kQ4_0, 0.105}, {DType::kQ4_1, 0.085},
                             {DType::kQ5_0, 0.055}, {DType::kQ5_1, 0.042}, {DType::kQ4_K, 0.08},  {DType::kQ5_K, 0.04},  {DType::kQ6_K, 0.021}};

TEST(EncodeRow, StaysWithinTheFormatsError) {
  const Rng rng{3, 1, 0};
  std::vector<float> x(4096);
  for (size_t i = 0; i < x.size(); ++i) x[i] = 0.02f * rng.normal(i);
  for (const auto& [type, error] : kBounds) EXPECT_LE(relative_error(x, round_trip(type, x)), error) << name(type);
}

TEST(EncodeRow, KeepsSpecialRows) {
  for (const auto& [type, error] : kBounds) {
    const std::vector<float> zeros(256, 0.0f), ones(256, 1.0f);
    for (const float y : round_trip(type, zeros)) EXPECT_EQ(y, 0) << name(type);
    for (const float y : round_trip(type, ones)) EXPECT_NEAR(y, 1, 0.04) << name(type);
    std::vector<float> spike(256, 0.0f);
    spike[77] = -3;
    EXPECT_NEAR(round_trip(type, spike)[77], -3, 0.1) << name(type);
  }
}

}  // namespace
}  // namespace hone::quant
