// Weights laid out for generation: panels of sixteen rows, whose codes lie side by side, so that one 512-bit register holds four
// neighbouring elements of each of them. A layout in memory only; files hold rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/dtype.h"

namespace hone::quant {

inline constexpr int64_t kPanelRows = 16;
inline constexpr int64_t kPanelGroup = 64;  // elements of a row that one group of codes holds

/// A panel is a run of blocks along its rows: the block's numbers, then the codes of its groups.
///
/// Numbers lie in rows of sixteen, one per row of the panel. Blocks of 64 elements: F16 scales of both halves, then F16 minima of both
/// where the type has them. K types, 256 elements: F16 d, F16 m (Q6_K: 32 bytes unused), then U8 scales and U8 minima of the 8
/// sub-blocks (Q6_K: I8 scales of the 16).
///
/// Codes are unsigned (those of Q8_0 are q + 128). Word i of a group (32 bits per row) holds elements 4i … 4i + 3, a byte each. Eight bits:
/// words 0 … 15. Fewer: the low four bits of words j and 8 + j share word j of eight, low and high half of each byte; fifth bits of words
/// 2k + j are bits k of word j of two more; fifth and sixth bits of words 4k + j are bits 2k, 2k + 1 of word j of four more.
struct PanelLayout {
  int bits = 0;          // of a code; 0: the type has no panels
  int64_t elements = 0;  // of a row within a block
  int64_t numbers = 0;   // bytes of a block's numbers
  int centre = 0;        // x = scale · (code − centre); 0: x = scale · code + shift
  constexpr int64_t group_bytes() const { return kPanelRows * kPanelGroup * bits / 8; }
  constexpr int64_t block_bytes() const { return numbers + elements / kPanelGroup * group_bytes(); }
};

// Always inlined, as panel_bytes is: kernels compiled for one instruction set must hold no symbol that others may be given.
[[gnu::always_inline]] constexpr PanelLayout panel_layout(DType type) {
  switch (type) {
    case DType::kQ4_0: return {4, 64, 64, 8};
    case DType::kQ4_1: return {4, 64, 128};
    case DType::kQ5_0: return {5, 64, 64, 16};
    case DType::kQ5_1: return {5, 64, 128};
    case DType::kQ8_0: return {8, 64, 64, 128};
    case DType::kQ4_K: return {4, 256, 320};
    case DType::kQ5_K: return {5, 256, 320};
    case DType::kQ6_K: return {6, 256, 320, 32};
    default: return {};
  }
}

/// Whether rows of `cols` elements can lie in panels.
constexpr bool has_panels(DType type, int64_t cols) {
  const PanelLayout layout = panel_layout(type);
  return layout.bits != 0 && cols % layout.elements == 0;
}

[[gnu::always_inline]] constexpr int64_t panel_bytes(DType type, int64_t cols) {
  const PanelLayout layout = panel_layout(type);
  return cols / layout.elements * layout.block_bytes();
}

/// Of `rows` rows: whole panels.
constexpr int64_t panels_of(int64_t rows) { return (rows + kPanelRows - 1) / kPanelRows; }

/// Lays `count` ≤ 16 dense rows of a type that has panels out at `panel` (panel_bytes). Missing rows are zeros.
void to_panel(DType type, const void* rows, int64_t count, int64_t cols, void* panel);

/// Decodes elements [begin, begin + n) of row `lane` of a panel, as decode_row does from the row itself.
void decode_panel_row(DType type, const void* panel, int64_t lane, int64_t begin, int64_t n, float* out);

}  // namespace hone::quant
