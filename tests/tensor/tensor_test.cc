#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <vector>

namespace hone {
namespace {

TEST(Shape, CountsAndPrints) {
  const Shape shape{2, 3, 5};
  EXPECT_EQ(shape.elements(), 30);
  EXPECT_EQ(shape[-1], 5);
  EXPECT_EQ(shape.str(), "(2, 3, 5)");
  EXPECT_THROW(shape[3], Error);
  EXPECT_THROW((Shape{int64_t{1} << 40, int64_t{1} << 40}.elements()), Error);
  EXPECT_THROW((Shape{-1}), Error);
}

TEST(Tensor, ViewsShareStorage) {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const Tensor t = Tensor::from({3, 2}, std::span<const float>(values));
  const Tensor view = t.rows(1, 3);
  EXPECT_EQ(view.shape(), (Shape{2, 2}));
  EXPECT_EQ(view.data<float>()[0], 3);
  view.data_mutable<float>()[0] = 30;
  EXPECT_EQ(t.data<float>()[2], 30);
  EXPECT_EQ(t.reshape({2, 3}).data<float>()[2], 30);
  EXPECT_NE(t.clone().raw(), t.raw());
  EXPECT_THROW(t.rows(2, 4), Error);
  EXPECT_THROW(t.reshape({4}), Error);
}

TEST(Tensor, BorrowedBytesAreReadOnlyAndChecked) {
  const auto bytes = std::make_shared<std::vector<float>>(6, 1.5f);
  const Tensor t = Tensor::borrow({2, 3}, DType::kF32, bytes->data(), 24, bytes);
  EXPECT_EQ(bytes.use_count(), 2);
  EXPECT_EQ(t.data<float>()[5], 1.5f);
  EXPECT_THROW(t.raw_mutable(), Error);
  EXPECT_THROW(Tensor::borrow({2, 4}, DType::kF32, bytes->data(), 24, bytes), Error);
}

TEST(Tensor, QuantizedRowsCountBlocks) {
  EXPECT_EQ(Tensor::empty({4, 64}, DType::kQ4_0).bytes(), 4u * 2 * 18);
  EXPECT_THROW(Tensor::empty({4, 33}, DType::kQ4_0), Error);
  EXPECT_EQ(Tensor::empty({3, 512}, DType::kQ6_K).rows(1, 2).bytes(), 2u * 210);
}

TEST(Allocator, ReusesFreedBlocks) {
  release_cached_memory();
  const void* first = nullptr;
  {
    const Tensor t = Tensor::empty({100000}, DType::kF32);
    first = t.raw();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
  }
  const size_t cached = memory_use().cached;
  EXPECT_GE(cached, 400000u);
  const Tensor again = Tensor::empty({99000}, DType::kF32);
  EXPECT_EQ(again.raw(), first);
  EXPECT_LT(memory_use().cached, cached);
}

TEST(Allocator, CountsUseAndPeak) {
  reset_peak_memory();
  const MemoryUse before = memory_use();
  { const Tensor t = Tensor::empty({1 << 20}, DType::kF32); }
  EXPECT_EQ(memory_use().in_use, before.in_use);
  EXPECT_GE(memory_use().peak, before.in_use + (4u << 20));
}

}  // namespace
}  // namespace hone
