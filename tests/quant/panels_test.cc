// Panels hold the same numbers as the rows they were made of.
#include "quant/panels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/rng.h"
#include "quant/blocks.h"
#include "quant/codec.h"

namespace hone::quant {
namespace {

constexpr DType kTypes[] = {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};

TEST(Panels, DecodeToTheRowsTheyHold) {
  for (const DType type : kTypes)
    for (const int64_t rows : {16, 5}) {
      SCOPED_TRACE(testing::Message() << name(type) << ", " << rows << " rows");
      const int64_t cols = 768, stride = row_bytes(type, cols);
      std::vector<unsigned char> bytes(static_cast<size_t>(rows * stride));
      std::vector<float> x(static_cast<size_t>(cols)), expected(x.size()), found(x.size());
      const Rng rng{3, 5, 0};
      for (int64_t r = 0; r < rows; ++r) {
        for (size_t i = 0; i < x.size(); ++i) x[i] = rng.normal(static_cast<uint64_t>(r) * x.size() + i) * (1 + static_cast<float>(i % 40));
        encode_row(type, x.data(), cols, bytes.data() + r * stride);
      }
      // What lies behind the panel is not touched.
      std::vector<unsigned char> panel(static_cast<size_t>(panel_bytes(type, cols)) + 64, 0xAB);
      to_panel(type, bytes.data(), rows, cols, panel.data());
      for (int64_t i = 0; i < 64; ++i) EXPECT_EQ(panel[panel.size() - 64 + static_cast<size_t>(i)], 0xAB);
      for (int64_t r = 0; r < kPanelRows; ++r) {
        std::fill(expected.begin(), expected.end(), 0.0f);
        if (r < rows) decode_row(type, bytes.data() + r * stride, cols, expected.data());
        decode_panel_row(type, panel.data(), r, 0, cols, found.data());
        // 24 bits hold every product of six bits of code, eight of scale and eleven of d but for the last one.
        for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], type == DType::kQ6_K ? std::abs(expected[i]) * 3e-7f : 0) << "row " << r << ", element " << i;
        decode_panel_row(type, panel.data(), r, 288, 40, found.data());
        for (size_t i = 0; i < 40; ++i) ASSERT_NEAR(found[i], expected[288 + i], type == DType::kQ6_K ? std::abs(expected[288 + i]) * 3e-7f : 0);
      }
    }
}

TEST(Panels, OnlyWholeBlocksLieInThem) {
  EXPECT_TRUE(has_panels(DType::kQ4_1, 576));
  EXPECT_FALSE(has_panels(DType::kQ4_1, 96));
  EXPECT_FALSE(has_panels(DType::kQ4_K, 576));
  EXPECT_FALSE(has_panels(DType::kBF16, 256));
  // As many bytes as the rows take, and a fiftieth more at most.
  for (const DType type : kTypes) {
    EXPECT_GE(panel_bytes(type, 256), 16 * row_bytes(type, 256));
    EXPECT_LE(panel_bytes(type, 256) * 100, 16 * row_bytes(type, 256) * 103) << name(type);
  }
}

}  // namespace
}  // namespace hone::quant
