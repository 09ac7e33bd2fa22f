// Matrices of every storage type with random content, and how results are compared.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/table.h"
#include "quant/bf16.h"
#include "quant/nf4.h"
#include "quant/panels.h"

namespace hone::kernels {

inline ThreadPool& pool() {
  static ThreadPool two(2);
  return two;
}

inline std::vector<Isa> fast_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : available_isas())
    if (isa != Isa::kScalar) isas.push_back(isa);
  return isas;
}

// A matrix with storage of its own, rows `gap` bytes further apart than they need to be.
struct Owned {
  std::vector<unsigned char> bytes;
  quant::Nf4State nf4;
  Matrix matrix;
};

inline float value(const Rng& rng, int64_t i) { return rng.normal(static_cast<uint64_t>(i)); }

inline Owned random_matrix(DType type, int64_t rows, int64_t cols, uint32_t stream, int64_t gap = 0) {
  const Rng rng{7, stream, 0};
  Owned m;
  if (type == DType::kNF4) {
    std::vector<float> x(static_cast<size_t>(rows * cols));
    for (size_t i = 0; i < x.size(); ++i) x[i] = value(rng, static_cast<int64_t>(i));
    m.bytes.resize((x.size() + 1) / 2);
    m.nf4 = quant::nf4_quantize(x.data(), static_cast<int64_t>(x.size()), m.bytes.data());
    m.matrix = {m.bytes.data(), type, rows, cols, 0, nullptr};
    return m;
  }
  const int64_t stride = row_bytes(type, cols) + gap;
  m.bytes.resize(static_cast<size_t>(stride * rows + 64));
  for (int64_t r = 0; r < rows; ++r) {
    unsigned char* row = m.bytes.data() + r * stride;
    if (type == DType::kF32 || type == DType::kBF16) {
      for (int64_t c = 0; c < cols; ++c) {
        const float v = value(rng, r * cols + c);
        const BF16 half = to_bf16(v);
        if (type == DType::kF32) std::memcpy(row + 4 * c, &v, 4);
        else std::memcpy(row + 2 * c, &half, 2);
      }
      continue;
    }
    // Any bytes are valid codes; scales and minima must be ordinary F16 numbers.
    for (int64_t i = 0; i < row_bytes(type, cols); ++i) row[i] = static_cast<unsigned char>(rng.bits(static_cast<uint64_t>(r * 100000 + i)));
    const auto& t = traits(type);
    for (int64_t b = 0; b < cols / t.block_elements; ++b) {
      const F16 d = to_f16(0.01f + 0.001f * static_cast<float>(b % 7)), minimum = to_f16(-0.05f);
      unsigned char* block = row + b * t.block_bytes;
      if (type == DType::kQ6_K) std::memcpy(block + 208, &d, 2);
      else std::memcpy(block, &d, 2);
      if (type == DType::kQ4_1 || type == DType::kQ5_1 || type == DType::kQ4_K || type == DType::kQ5_K) std::memcpy(block + 2, &minimum, 2);
    }
  }
  m.matrix = {m.bytes.data(), type, rows, cols, gap ? stride : 0, nullptr};
  return m;
}

inline Matrix of(const Owned& m) {
  Matrix copy = m.matrix;
  if (copy.type == DType::kNF4) copy.nf4 = &m.nf4;
  return copy;
}

// The same rows in panels.
inline Owned in_panels(const Owned& rows) {
  const Matrix& m = rows.matrix;
  const int64_t each = quant::panel_bytes(m.type, m.cols), panels = quant::panels_of(m.rows);
  Owned out;
  out.bytes.resize(static_cast<size_t>(panels * each));
  for (int64_t p = 0; p < panels; ++p)
    quant::to_panel(m.type, static_cast<const unsigned char*>(m.data) + p * quant::kPanelRows * row_bytes(m.type, m.cols), std::min(quant::kPanelRows, m.rows - p * quant::kPanelRows), m.cols,
                    out.bytes.data() + p * each);
  out.matrix = m;
  out.matrix.data = out.bytes.data();
  out.matrix.panels = true;
  return out;
}

// |a − b| ≤ bound · scale, where scale is the reference's largest magnitude.
inline void expect_close(const std::vector<float>& a, const std::vector<float>& b, float bound) {
  ASSERT_EQ(a.size(), b.size());
  float scale = 1e-6f;
  for (const float x : b) scale = std::max(scale, std::abs(x));
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], bound * scale) << "element " << i;
}

}  // namespace hone::kernels
