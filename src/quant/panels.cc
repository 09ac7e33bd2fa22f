#include "quant/panels.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "quant/blocks.h"

namespace hone::quant {
namespace {

constexpr int64_t kGroupWords = kPanelGroup / 4;
using Words = std::array<std::array<uint32_t, kPanelRows>, kSuperBlock / 4>;  // codes of one block: [word][row]

// What one row brings into a block: its codes, and its numbers where they belong.
struct RowPart {
  std::array<uint8_t, kSuperBlock> codes;
  std::byte* numbers;
  int64_t lane;

  void put(int64_t at, F16 x) { std::memcpy(numbers + at + 2 * lane, &x, 2); }
  void put(int64_t at, uint8_t x) { numbers[at + lane] = static_cast<std::byte>(x); }
};

template <class Block>
Block read(const std::byte* data, int64_t index) {
  Block block;  // rows of a mapped file need not be aligned
  std::memcpy(&block, data + index * static_cast<int64_t>(sizeof block), sizeof block);
  return block;
}

template <class Block>
void take_simple(const std::byte* row, int64_t index, RowPart& part) {
  for (int half = 0; half < 2; ++half) {
    const auto b = read<Block>(row, 2 * index + half);
    uint8_t* codes = part.codes.data() + 32 * half;
    if constexpr (sizeof(Block) == sizeof(BlockQ8_0)) {
      for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(b.q[i] ^ 0x80);
    } else {
      for (int i = 0; i < 16; ++i) {
        codes[i] = b.q[i] & 15;
        codes[i + 16] = b.q[i] >> 4;
      }
      if constexpr (requires { b.high; })
        for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(codes[i] | (b.high[i / 8] >> (i % 8) & 1) << 4);
    }
    part.put(32 * half, b.d);
    if constexpr (requires { b.m; }) part.put(64 + 32 * half, b.m);
  }
}

template <class Block>
void take_k(const std::byte* row, int64_t index, RowPart& part) {
  const auto b = read<Block>(row, index);
  for (int j = 0; j < 8; ++j) {
    const uint8_t* q = b.q + j / 2 * 32;
    uint8_t* codes = part.codes.data() + 32 * j;
    for (int i = 0; i < 32; ++i) codes[i] = j % 2 ? q[i] >> 4 : q[i] & 15;
    if constexpr (requires { b.high; })
      for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(codes[i] | (b.high[i] >> j & 1) << 4);
    uint8_t scale, minimum;
    unpack_scale(b.scales, j, scale, minimum);
    part.put(64 + 16 * j, scale);
    part.put(192 + 16 * j, minimum);
  }
  part.put(0, b.d);
  part.put(32, b.m);
}

void take_q6_k(const std::byte* row, int64_t index, RowPart& part) {
  const auto b = read<BlockQ6_K>(row, index);
  for (int half = 0; half < 2; ++half)
    for (int run = 0; run < 4; ++run) {
      const uint8_t *low = b.low + half * 64 + run % 2 * 32, *high = b.high + half * 32;
      uint8_t* codes = part.codes.data() + half * 128 + run * 32;
      for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>((run / 2 ? low[i] >> 4 : low[i] & 15) | (high[i] >> (2 * run) & 3) << 4);
    }
  part.put(0, b.d);
  for (int j = 0; j < 16; ++j) part.put(64 + 16 * j, static_cast<uint8_t>(b.scales[j]));
}

void take(DType type, const std::byte* row, int64_t index, RowPart& part) {
  switch (type) {
    case DType::kQ4_0: return take_simple<BlockQ4_0>(row, index, part);
    case DType::kQ4_1: return take_simple<BlockQ4_1>(row, index, part);
    case DType::kQ5_0: return take_simple<BlockQ5_0>(row, index, part);
    case DType::kQ5_1: return take_simple<BlockQ5_1>(row, index, part);
    case DType::kQ8_0: return take_simple<BlockQ8_0>(row, index, part);
    case DType::kQ4_K: return take_k<BlockQ4_K>(row, index, part);
    case DType::kQ5_K: return take_k<BlockQ5_K>(row, index, part);
    default: return take_q6_k(row, index, part);
  }
}

// The sixteen words of one group → its codes.
void put_group(int bits, const Words& words, int64_t first, uint32_t* out) {
  const auto word = [&](int64_t i, int64_t lane) { return words[static_cast<size_t>(first + i)][static_cast<size_t>(lane)]; };
  if (bits == 8) {
    std::memcpy(out, &words[static_cast<size_t>(first)], kGroupWords * kPanelRows * 4);
    return;
  }
  for (int64_t j = 0; j < 8; ++j)
    for (int64_t lane = 0; lane < kPanelRows; ++lane) out[j * kPanelRows + lane] = (word(j, lane) & 0x0F0F0F0F) | (word(8 + j, lane) & 0x0F0F0F0F) << 4;
  out += 8 * kPanelRows;
  const int64_t more = bits == 5 ? 2 : bits == 6 ? 4 : 0;  // further words
  for (int64_t j = 0; j < more; ++j)
    for (int64_t lane = 0; lane < kPanelRows; ++lane) {
      uint32_t all = 0;
      for (int64_t k = 0; k < kGroupWords / more; ++k) all |= (word(more * k + j, lane) >> 4 & (bits == 5 ? 0x01010101u : 0x03030303u)) << (bits - 4) * k;
      out[j * kPanelRows + lane] = all;
    }
}

// Code of element e (0 … 63) of row `lane` in a group.
int code(int bits, const uint8_t* group, int64_t e, int64_t lane) {
  const int64_t word = e / 4;
  const auto byte = [&](int64_t w) { return group[(w * kPanelRows + lane) * 4 + e % 4]; };
  if (bits == 8) return byte(word);
  int q = word < 8 ? byte(word) & 15 : byte(word - 8) >> 4;
  if (bits == 5) q |= (byte(8 + word % 2) >> word / 2 & 1) << 4;
  if (bits == 6) q |= (byte(8 + word % 4) >> 2 * (word / 4) & 3) << 4;
  return q;
}

// x = scale · code + shift within one run of a block's elements that shares them.
struct Numbers {
  float scale, shift;
};

Numbers numbers_of(DType type, const std::byte* numbers, int64_t element, int64_t lane) {
  const auto half = [&](int64_t at) {
    F16 x;
    std::memcpy(&x, numbers + at + 2 * lane, 2);
    return to_float(x);
  };
  const auto byte = [&](int64_t at) { return std::to_integer<uint8_t>(numbers[at + lane]); };
  const int64_t part = element / 32;
  const auto centred = [&](float scale) { return Numbers{scale, static_cast<float>(-panel_layout(type).centre) * scale}; };
  switch (type) {
    case DType::kQ4_0:
    case DType::kQ5_0:
    case DType::kQ8_0: return centred(half(32 * part));
    case DType::kQ4_1:
    case DType::kQ5_1: return {half(32 * part), half(64 + 32 * part)};
    case DType::kQ6_K: return centred(half(0) * static_cast<float>(static_cast<int8_t>(byte(64 + element / 16 * 16))));
    default: return {half(0) * byte(64 + 16 * part), -(half(32) * byte(192 + 16 * part))};
  }
}

}  // namespace

void to_panel(DType type, const void* rows, int64_t count, int64_t cols, void* panel) {
  HONE_CHECK(has_panels(type, cols) && 0 < count && count <= kPanelRows, "panel of {} rows of {} {}", count, cols, name(type));
  const PanelLayout layout = panel_layout(type);
  const int64_t stride = row_bytes(type, cols);
  auto* out = static_cast<std::byte*>(panel);
  Words words{};
  for (int64_t index = 0; index < cols / layout.elements; ++index, out += layout.block_bytes()) {
    std::memset(out, 0, static_cast<size_t>(layout.numbers));
    for (int64_t lane = 0; lane < count; ++lane) {
      RowPart part;
      part.numbers = out, part.lane = lane;
      take(type, static_cast<const std::byte*>(rows) + lane * stride, index, part);
      for (int64_t w = 0; w < layout.elements / 4; ++w) std::memcpy(&words[static_cast<size_t>(w)][static_cast<size_t>(lane)], part.codes.data() + 4 * w, 4);
    }
    std::byte* codes = out + layout.numbers;
    for (int64_t g = 0; g < layout.elements / kPanelGroup; ++g) put_group(layout.bits, words, g * kGroupWords, reinterpret_cast<uint32_t*>(codes + g * layout.group_bytes()));
  }
}

void decode_panel_row(DType type, const void* panel, int64_t lane, int64_t begin, int64_t n, float* out) {
  const PanelLayout layout = panel_layout(type);
  HONE_CHECK(layout.bits != 0 && 0 <= lane && lane < kPanelRows, "row {} of a panel of {}", lane, name(type));
  for (int64_t e = begin; e < begin + n;) {
    const std::byte* block = static_cast<const std::byte*>(panel) + e / layout.elements * layout.block_bytes();
    const int64_t within = e % layout.elements, run = std::min(begin + n, e / 16 * 16 + 16);
    const Numbers x = numbers_of(type, block, within, lane);
    const auto* group = reinterpret_cast<const uint8_t*>(block + layout.numbers + within / kPanelGroup * layout.group_bytes());
    for (; e < run; ++e) *out++ = x.scale * static_cast<float>(code(layout.bits, group, e % kPanelGroup, lane)) + x.shift;
  }
}

}  // namespace hone::quant
