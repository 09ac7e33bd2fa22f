// Element and block types of every tensor hone reads, computes with or writes.
#pragma once

#include <cstdint>
#include <string_view>

namespace hone {

enum class DType : uint8_t {
  kF32, kF16, kBF16, kI32,
  kQ8_0, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ4_K, kQ5_K, kQ6_K,  // GGUF blocks along a row
  kNF4,  // bitsandbytes NF4: blocks of 64 along the flattened matrix; scales live in quant::Nf4State
  kI8,   // signed bytes with one F32 scale per row, kept beside them
};

struct DTypeTraits {
  DType type;
  std::string_view name;   // as printed: "F32", "Q4_K" …
  int64_t block_elements;  // elements per block; 1 for plain types
  int64_t block_bytes;     // bytes per block
  bool quantized;
};

const DTypeTraits& traits(DType type);

inline std::string_view name(DType type) { return traits(type).name; }

/// Bytes of one row of `cols` elements. Throws Error{kInvalidInput} when cols is not a whole number of blocks (NF4: any
/// even count).
int64_t row_bytes(DType type, int64_t cols);

}  // namespace hone
