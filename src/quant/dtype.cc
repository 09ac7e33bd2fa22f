#include "quant/dtype.h"

#include <limits>

#include "base/error.h"

namespace hone {
namespace {
constexpr DTypeTraits kTraits[] = {
    {DType::kF32, "F32", 1, 4, false},      {DType::kF16, "F16", 1, 2, false},     {DType::kBF16, "BF16", 1, 2, false},
    {DType::kI32, "I32", 1, 4, false},      {DType::kQ8_0, "Q8_0", 32, 34, true},  {DType::kQ4_0, "Q4_0", 32, 18, true},
    {DType::kQ4_1, "Q4_1", 32, 20, true},   {DType::kQ5_0, "Q5_0", 32, 22, true},  {DType::kQ5_1, "Q5_1", 32, 24, true},
    {DType::kQ4_K, "Q4_K", 256, 144, true}, {DType::kQ5_K, "Q5_K", 256, 176, true}, {DType::kQ6_K, "Q6_K", 256, 210, true},
    {DType::kNF4, "NF4", 2, 1, true},       {DType::kI8, "I8", 1, 1, true},
};
}  // namespace

const DTypeTraits& traits(DType type) {
  const auto index = static_cast<size_t>(type);
  HONE_CHECK(index < std::size(kTraits) && kTraits[index].type == type, "dtype {}", index);
  return kTraits[index];
}

int64_t row_bytes(DType type, int64_t cols) {
  const DTypeTraits& t = traits(type);
  if (cols < 0 || cols % t.block_elements != 0 || cols > std::numeric_limits<int64_t>::max() / 8)
    throw Error(ErrorCode::kInvalidInput, "tensor row",
                fmt::format("{} stores blocks of {} elements, found a row of {}", t.name, t.block_elements, cols));
  return cols / t.block_elements * t.block_bytes;
}

}  // namespace hone
