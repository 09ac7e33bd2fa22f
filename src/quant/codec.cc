#include "quant/codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "quant/blocks.h"

namespace hone::quant {
namespace {

template <class Block>
Block read(const void* data, int64_t index) {
  Block block;  // rows of a mapped file need not be aligned
  std::memcpy(&block, static_cast<const std::byte*>(data) + index * static_cast<int64_t>(sizeof block), sizeof block);
  return block;
}

template <class Block>
void write(void* data, int64_t index, const Block& block) {
  std::memcpy(static_cast<std::byte*>(data) + index * static_cast<int64_t>(sizeof block), &block, sizeof block);
}

int fifth_bit(const uint8_t* high, int i) { return (high[i / 8] >> (i % 8) & 1) << 4; }

void decode(const BlockQ8_0& b, float* out) {
  for (int i = 0; i < 32; ++i) out[i] = to_float(b.d) * b.q[i];
}
void decode(const BlockQ4_0& b, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = to_float(b.d) * static_cast<float>((b.q[i] & 15) - 8);
    out[i + 16] = to_float(b.d) * static_cast<float>((b.q[i] >> 4) - 8);
  }
}
void decode(const BlockQ4_1& b, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = to_float(b.d) * static_cast<float>(b.q[i] & 15) + to_float(b.m);
    out[i + 16] = to_float(b.d) * static_cast<float>(b.q[i] >> 4) + to_float(b.m);
  }
}
void decode(const BlockQ5_0& b, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = to_float(b.d) * static_cast<float>(((b.q[i] & 15) | fifth_bit(b.high, i)) - 16);
    out[i + 16] = to_float(b.d) * static_cast<float>(((b.q[i] >> 4) | fifth_bit(b.high, i + 16)) - 16);
  }
}
void decode(const BlockQ5_1& b, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = to_float(b.d) * static_cast<float>((b.q[i] & 15) | fifth_bit(b.high, i)) + to_float(b.m);
    out[i + 16] = to_float(b.d) * static_cast<float>((b.q[i] >> 4) | fifth_bit(b.high, i + 16)) + to_float(b.m);
  }
}

// Groups 2g and 2g + 1 share 32 bytes: the low nibbles are the first group, the high ones the second.
template <class Block, class Value>
void decode_k4(const Block& b, float* out, Value value) {
  for (int j = 0; j < 8; ++j) {
    uint8_t scale, minimum;
    unpack_scale(b.scales, j, scale, minimum);
    const float d = to_float(b.d) * scale, m = to_float(b.m) * minimum;
    for (int i = 0; i < 32; ++i) {
      const uint8_t byte = b.q[j / 2 * 32 + i];
      out[j * 32 + i] = d * static_cast<float>(value(j % 2 ? byte >> 4 : byte & 15, j, i)) - m;
    }
  }
}
void decode(const BlockQ4_K& b, float* out) {
  decode_k4(b, out, [](int q, int, int) { return q; });
}
void decode(const BlockQ5_K& b, float* out) {
  decode_k4(b, out, [&](int q, int j, int i) { return q | (b.high[i] >> j & 1) << 4; });
}
// Each half of 128 elements: four runs of 32 whose low bits are nibbles of 64 bytes and whose high bits are pairs of 32.
void decode(const BlockQ6_K& b, float* out) {
  for (int half = 0; half < 2; ++half)
    for (int run = 0; run < 4; ++run)
      for (int i = 0; i < 32; ++i) {
        const uint8_t low = b.low[half * 64 + run % 2 * 32 + i], high = b.high[half * 32 + i];
        const int q = (run / 2 ? low >> 4 : low & 15) | (high >> (2 * run) & 3) << 4;
        const int8_t scale = b.scales[half * 8 + run * 2 + i / 16];
        out[half * 128 + run * 32 + i] = to_float(b.d) * scale * static_cast<float>(q - 32);
      }
}

template <class Block>
void decode_blocks(const void* data, int64_t n, int64_t block_elements, float* out) {
  for (int64_t i = 0; i < n / block_elements; ++i) decode(read<Block>(data, i), out + i * block_elements);
}

template <class T>
void decode_plain(const void* data, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = to_float(read<T>(data, i));
}

}  // namespace

void decode_row(DType type, const void* data, int64_t n, float* out) {
  HONE_CHECK(n % traits(type).block_elements == 0, "decode {} elements of {}", n, name(type));
  switch (type) {
    case DType::kF32: std::memcpy(out, data, static_cast<size_t>(n) * 4); return;
    case DType::kF16: decode_plain<F16>(data, n, out); return;
    case DType::kBF16: decode_plain<BF16>(data, n, out); return;
    case DType::kQ8_0: decode_blocks<BlockQ8_0>(data, n, kBlock, out); return;
    case DType::kQ4_0: decode_blocks<BlockQ4_0>(data, n, kBlock, out); return;
    case DType::kQ4_1: decode_blocks<BlockQ4_1>(data, n, kBlock, out); return;
    case DType::kQ5_0: decode_blocks<BlockQ5_0>(data, n, kBlock, out); return;
    case DType::kQ5_1: decode_blocks<BlockQ5_1>(data, n, kBlock, out); return;
    case DType::kQ4_K: decode_blocks<BlockQ4_K>(data, n, kSuperBlock, out); return;
    case DType::kQ5_K: decode_blocks<BlockQ5_K>(data, n, kSuperBlock, out); return;
    case DType::kQ6_K: decode_blocks<BlockQ6_K>(data, n, kSuperBlock, out); return;
    case DType::kI32:
    case DType::kI8:
    case DType::kNF4: break;
  }
  HONE_CHECK(false, "decode_row of {}", name(type));
}

}  // namespace hone::quant
