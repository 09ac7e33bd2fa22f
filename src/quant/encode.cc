// Encoding of whole rows. Simple blocks take the scale that spans their values; K blocks search the scale (and minimum) of each
// group for the least squared error, then round those to six or eight bits under one F16 factor.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "quant/blocks.h"
#include "quant/codec.h"

namespace hone::quant {
namespace {

int nearest_int(float x) { return static_cast<int>(std::lrintf(x)); }
uint8_t clamped(float x, int high) { return static_cast<uint8_t>(std::clamp(nearest_int(x), 0, high)); }
float inverse(float x) { return x != 0 ? 1 / x : 0; }

// The value of largest magnitude, with its sign.
float extreme(const float* x, int n) {
  float best = 0;
  for (int i = 0; i < n; ++i)
    if (std::abs(x[i]) > std::abs(best)) best = x[i];
  return best;
}

void encode(const float* x, BlockQ8_0& b) {
  const float d = std::abs(extreme(x, 32)) / 127, scale = inverse(d);
  b.d = to_f16(d);
  for (int i = 0; i < 32; ++i) b.q[i] = static_cast<int8_t>(nearest_int(x[i] * scale));
}

void pack_nibbles(const uint8_t* q, uint8_t* out) {
  for (int i = 0; i < 16; ++i) out[i] = static_cast<uint8_t>((q[i] & 15) | (q[i + 16] & 15) << 4);
}
void pack_fifth_bits(const uint8_t* q, uint8_t* high) {
  for (int i = 0; i < 32; ++i) high[i / 8] = static_cast<uint8_t>(high[i / 8] | (q[i] >> 4 & 1) << (i % 8));
}

// x ≈ d · (q − half): the value of largest magnitude lands on the end that has one more step.
float symmetric(const float* x, int half, uint8_t* q) {
  const float d = extreme(x, 32) / static_cast<float>(-half), scale = inverse(d);
  for (int i = 0; i < 32; ++i) q[i] = clamped(x[i] * scale + static_cast<float>(half), 2 * half - 1);
  return d;
}
// x ≈ d · q + low
float ranged(const float* x, int steps, uint8_t* q, float& low) {
  const auto [least, most] = std::minmax_element(x, x + 32);
  low = *least;
  const float d = (*most - low) / static_cast<float>(steps), scale = inverse(d);
  for (int i = 0; i < 32; ++i) q[i] = clamped((x[i] - low) * scale, steps);
  return d;
}

void encode(const float* x, BlockQ4_0& b) {
  uint8_t q[32];
  b.d = to_f16(symmetric(x, 8, q));
  pack_nibbles(q, b.q);
}
void encode(const float* x, BlockQ4_1& b) {
  uint8_t q[32];
  float low;
  b.d = to_f16(ranged(x, 15, q, low));
  b.m = to_f16(low);
  pack_nibbles(q, b.q);
}
void encode(const float* x, BlockQ5_0& b) {
  uint8_t q[32];
  b.d = to_f16(symmetric(x, 16, q));
  pack_nibbles(q, b.q);
  pack_fifth_bits(q, b.high);
}
void encode(const float* x, BlockQ5_1& b) {
  uint8_t q[32];
  float low;
  b.d = to_f16(ranged(x, 31, q, low));
  b.m = to_f16(low);
  pack_nibbles(q, b.q);
  pack_fifth_bits(q, b.high);
}

// scale, minimum ≥ 0 with x ≈ scale · q − minimum, q in 0…steps: candidates around the span, each refined by least squares.
void search_range(const float* x, int n, int steps, float& scale, float& minimum) {
  const float low = std::min(0.0f, *std::min_element(x, x + n)), high = *std::max_element(x, x + n);
  scale = minimum = 0;
  if (high <= low) {
    minimum = -low;
    return;
  }
  float best = INFINITY;
  for (int candidate = -6; candidate <= 8; ++candidate) {
    const float to_steps = (static_cast<float>(steps) + 0.15f * static_cast<float>(candidate)) / (high - low);
    double sq = 0, sqq = 0, sx = 0, sxq = 0;
    for (int i = 0; i < n; ++i) {
      const double q = clamped((x[i] - low) * to_steps, steps);
      sq += q;
      sqq += q * q;
      sx += x[i];
      sxq += q * x[i];
    }
    const double determinant = n * sqq - sq * sq;
    double s = determinant > 0 ? (n * sxq - sq * sx) / determinant : 0, m = determinant > 0 ? (sq * sxq - sqq * sx) / determinant : 0;
    if (determinant <= 0 || m < 0) {  // all on one step, or better without a minimum
      m = 0;
      s = sqq > 0 ? sxq / sqq : 0;
    }
    if (!(s > 0)) continue;
    float error = 0;
    for (int i = 0; i < n; ++i) {
      const float q = clamped((x[i] + static_cast<float>(m)) / static_cast<float>(s), steps);
      const float gap = static_cast<float>(s) * q - static_cast<float>(m) - x[i];
      error += gap * gap;
    }
    if (error < best) {
      best = error;
      scale = static_cast<float>(s);
      minimum = static_cast<float>(m);
    }
  }
}

// Scales and minima of eight groups in six bits each, and every q under the rounded ones.
void encode_groups(const float* x, int steps, F16& d_out, F16& m_out, uint8_t* scales, uint8_t* q) {
  float scale[8], minimum[8];
  for (int j = 0; j < 8; ++j) search_range(x + 32 * j, 32, steps, scale[j], minimum[j]);
  d_out = to_f16(*std::max_element(scale, scale + 8) / 63);
  m_out = to_f16(*std::max_element(minimum, minimum + 8) / 63);
  const float d = to_float(d_out), m = to_float(m_out);
  for (int j = 0; j < 8; ++j) {
    const uint8_t s = clamped(scale[j] * inverse(d), 63), t = clamped(minimum[j] * inverse(m), 63);
    if (j < 4) {
      scales[j] = static_cast<uint8_t>(scales[j] | s);
      scales[j + 4] = static_cast<uint8_t>(scales[j + 4] | t);
    } else {
      scales[j + 4] = static_cast<uint8_t>((s & 15) | (t & 15) << 4);
      scales[j - 4] = static_cast<uint8_t>(scales[j - 4] | (s >> 4) << 6);
      scales[j] = static_cast<uint8_t>(scales[j] | (t >> 4) << 6);
    }
    const float step = d * static_cast<float>(s), shift = m * static_cast<float>(t);
    for (int i = 0; i < 32; ++i) q[32 * j + i] = clamped((x[32 * j + i] + shift) * inverse(step), steps);
  }
}

// Two groups share 32 bytes: low nibbles the first, high nibbles the second.
void pack_group_nibbles(const uint8_t* q, uint8_t* out) {
  for (int pair = 0; pair < 4; ++pair)
    for (int i = 0; i < 32; ++i) out[32 * pair + i] = static_cast<uint8_t>((q[64 * pair + i] & 15) | (q[64 * pair + 32 + i] & 15) << 4);
}

void encode(const float* x, BlockQ4_K& b) {
  uint8_t q[256];
  encode_groups(x, 15, b.d, b.m, b.scales, q);
  pack_group_nibbles(q, b.q);
}
void encode(const float* x, BlockQ5_K& b) {
  uint8_t q[256];
  encode_groups(x, 31, b.d, b.m, b.scales, q);
  pack_group_nibbles(q, b.q);
  for (int j = 0; j < 8; ++j)
    for (int i = 0; i < 32; ++i) b.high[i] = static_cast<uint8_t>(b.high[i] | (q[32 * j + i] >> 4) << j);
}

// scale with x ≈ scale · q, q in −32…31.
float search_symmetric(const float* x) {
  const float most = extreme(x, 16);
  if (most == 0) return 0;
  float best = INFINITY, result = 0;
  for (int candidate = -9; candidate <= 9; ++candidate) {
    const float to_steps = -(32 + 0.1f * static_cast<float>(candidate)) / most;
    double sqq = 0, sxq = 0;
    for (int i = 0; i < 16; ++i) {
      const double q = std::clamp(nearest_int(x[i] * to_steps), -32, 31);
      sqq += q * q;
      sxq += q * x[i];
    }
    if (sqq == 0) continue;
    const auto scale = static_cast<float>(sxq / sqq);
    float error = 0;
    for (int i = 0; i < 16; ++i) {
      const float gap = scale * static_cast<float>(std::clamp(nearest_int(x[i] * inverse(scale)), -32, 31)) - x[i];
      error += gap * gap;
    }
    if (error < best) {
      best = error;
      result = scale;
    }
  }
  return result;
}

void encode(const float* x, BlockQ6_K& b) {
  float scale[16];
  for (int j = 0; j < 16; ++j) scale[j] = search_symmetric(x + 16 * j);
  b.d = to_f16(std::abs(extreme(scale, 16)) / 127);
  const float d = to_float(b.d);
  uint8_t q[256];
  for (int j = 0; j < 16; ++j) {
    b.scales[j] = static_cast<int8_t>(std::clamp(nearest_int(scale[j] * inverse(d)), -127, 127));
    const float step = d * static_cast<float>(b.scales[j]);
    for (int i = 0; i < 16; ++i) q[16 * j + i] = clamped(x[16 * j + i] * inverse(step) + 32, 63);
  }
  for (int half = 0; half < 2; ++half)
    for (int l = 0; l < 32; ++l) {
      const uint8_t* p = q + 128 * half + l;
      b.low[64 * half + l] = static_cast<uint8_t>((p[0] & 15) | (p[64] & 15) << 4);
      b.low[64 * half + 32 + l] = static_cast<uint8_t>((p[32] & 15) | (p[96] & 15) << 4);
      b.high[32 * half + l] = static_cast<uint8_t>(p[0] >> 4 | (p[32] >> 4) << 2 | (p[64] >> 4) << 4 | (p[96] >> 4) << 6);
    }
}

template <class Block, int elements>
void encode_blocks(const float* x, int64_t n, void* out) {
  HONE_CHECK(n % elements == 0, "{} elements in blocks of {}", n, elements);
  auto* to = static_cast<unsigned char*>(out);
  for (int64_t i = 0; i < n / elements; ++i) {
    Block block{};
    encode(x + i * elements, block);
    std::memcpy(to + static_cast<size_t>(i) * sizeof(Block), &block, sizeof(Block));
  }
}

}  // namespace

void encode_row(DType type, const float* x, int64_t n, void* out) {
  switch (type) {
    case DType::kF32: std::memcpy(out, x, static_cast<size_t>(4 * n)); return;
    case DType::kF16:
      for (int64_t i = 0; i < n; ++i) static_cast<F16*>(out)[i] = to_f16(x[i]);
      return;
    case DType::kBF16:
      for (int64_t i = 0; i < n; ++i) static_cast<BF16*>(out)[i] = to_bf16(x[i]);
      return;
    case DType::kQ8_0: encode_blocks<BlockQ8_0, 32>(x, n, out); return;
    case DType::kQ4_0: encode_blocks<BlockQ4_0, 32>(x, n, out); return;
    case DType::kQ4_1: encode_blocks<BlockQ4_1, 32>(x, n, out); return;
    case DType::kQ5_0: encode_blocks<BlockQ5_0, 32>(x, n, out); return;
    case DType::kQ5_1: encode_blocks<BlockQ5_1, 32>(x, n, out); return;
    case DType::kQ4_K: encode_blocks<BlockQ4_K, 256>(x, n, out); return;
    case DType::kQ5_K: encode_blocks<BlockQ5_K, 256>(x, n, out); return;
    case DType::kQ6_K: encode_blocks<BlockQ6_K, 256>(x, n, out); return;
    case DType::kI32:
    case DType::kI8:
    case DType::kNF4: break;
  }
  throw Error(ErrorCode::kInternal, "encode_row", fmt::format("rows of {} are not encoded here", name(type)));
}

}  // namespace hone::quant
