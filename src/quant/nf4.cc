#include "quant/nf4.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/thread_pool.h"

namespace hone::quant {
namespace {

// Signed dynamic map with seven exponent bits: for each decade 10^(i−6), 2^i means of neighbouring points of an even grid
// over [0.1, 1], both signs; and 0 and 1. Computed in f32, in the order that reproduces the published codes.
std::array<float, 256> make_dynamic_map() {
  std::array<float, 256> map{};
  size_t count = 0;
  for (int i = 0; i < 7; ++i) {
    const int points = (1 << i) + 1;
    const float step = (1.0f - 0.1f) / static_cast<float>(points - 1);
    auto grid = [&](int p) {  // filled from both ends, each point rounded once
      return p < points / 2 ? std::fma(step, static_cast<float>(p), 0.1f)
                            : std::fma(-step, static_cast<float>(points - 1 - p), 1.0f);
    };
    const auto decade = static_cast<float>(std::pow(10.0, i - 6));
    for (int p = 0; p + 1 < points; ++p) {
      const float value = decade * ((grid(p) + grid(p + 1)) / 2.0f);
      map[count++] = value;
      map[count++] = -value;
    }
  }
  map[count++] = 0;
  map[count++] = 1;
  std::sort(map.begin(), map.end());
  return map;
}

// Index of the value of ascending `values` nearest to x; the lower one on a tie.
int nearest_code(const float* values, int n, float x) {
  const int above = static_cast<int>(std::lower_bound(values, values + n, x) - values);
  if (above == 0) return 0;
  if (above == n) return n - 1;
  return x - values[above - 1] <= values[above] - x ? above - 1 : above;
}

// bitsandbytes finds a second-level code in a table over 65536 even steps of [−1, 1]: x is rounded to that grid first.
float on_grid(float x) {
  const auto step = static_cast<int>((x + 1.0f) * 0.5f * 65535.0f + 0.5f);
  return static_cast<float>(step / 65535.0 * 2 - 1);
}

}  // namespace

const float kNf4Values[16] = {-1.0f,
                              -0.6961928009986877f,
                              -0.5250730514526367f,
                              -0.39491748809814453f,
                              -0.28444138169288635f,
                              -0.18477343022823334f,
                              -0.09105003625154495f,
                              0.0f,
                              0.07958029955625534f,
                              0.16093020141124725f,
                              0.24611230194568634f,
                              0.33791524171829224f,
                              0.44070982933044434f,
                              0.5626170039176941f,
                              0.7229568362236023f,
                              1.0f};

const float* nf4_dynamic_map() {
  static const std::array<float, 256> map = make_dynamic_map();
  return map.data();
}

float Nf4State::absmax(int64_t block) const {
  return nf4_dynamic_map()[absmax_code[static_cast<size_t>(block)]] * nested_absmax[static_cast<size_t>(block / kNf4Nested)] + offset;
}

namespace {

// limits[i] is the largest x whose nearest value, by nearest_code, is kNf4Values[i] or a lower one: found among all floats
// between the two by bisection, so that counting limits below x agrees with nearest_code bit for bit.
std::array<float, 15> code_limits() {
  std::array<float, 15> limits{};
  for (size_t i = 0; i < limits.size(); ++i) {
    float low = kNf4Values[i], high = kNf4Values[i + 1];
    for (;;) {
      const float middle = low + (high - low) / 2;
      if (middle <= low || middle >= high) break;
      (nearest_code(kNf4Values, 16, middle) <= static_cast<int>(i) ? low : high) = middle;
    }
    limits[i] = low;
  }
  return limits;
}

// Both loops over a block are written for vector registers of any width: eight running maxima, and one count per element
// instead of a search that a processor mispredicts.
float largest_magnitude(const float* x) {
  float lanes[8] = {};
  for (int64_t i = 0; i < kNf4Block; i += 8)
    for (int64_t lane = 0; lane < 8; ++lane) {
      const float magnitude = std::abs(x[i + lane]);
      lanes[lane] = lanes[lane] < magnitude ? magnitude : lanes[lane];
    }
  return *std::max_element(lanes, lanes + 8);
}

void encode_block(const float* x, float inverse, const std::array<float, 15>& limits, uint8_t* code) {
  float scaled[kNf4Block];
  int32_t count[kNf4Block] = {};
  for (int64_t i = 0; i < kNf4Block; ++i) scaled[i] = x[i] * inverse;
  for (const float limit : limits)
    for (int64_t i = 0; i < kNf4Block; ++i) count[i] += scaled[i] > limit ? 1 : 0;
  for (int64_t i = 0; i < kNf4Block; ++i) code[i] = static_cast<uint8_t>(count[i]);
}

}  // namespace

Nf4State nf4_quantize(const float* x, int64_t n, uint8_t* codes) {
  const int64_t blocks = (n + kNf4Block - 1) / kNf4Block;
  std::vector<float> absmax(static_cast<size_t>(blocks));
  const std::array<float, 15> limits = code_limits();
  // A block's codes fill whole bytes, so blocks can be coded in parallel.
  ThreadPool::global().ranges(blocks, 512, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      const int64_t begin = block * kNf4Block, count = std::min(n - begin, kNf4Block);
      float padded[kNf4Block] = {};
      std::copy_n(x + begin, count, padded);
      const float largest = largest_magnitude(padded);
      absmax[static_cast<size_t>(block)] = largest;
      uint8_t code[kNf4Block];
      encode_block(padded, largest > 0 ? 1.0f / largest : 0, limits, code);
      uint8_t* out = codes + begin / 2;
      for (int64_t i = 0; i + 1 < count; i += 2) out[i / 2] = static_cast<uint8_t>(code[i] << 4 | code[i + 1]);
      if (count % 2) out[count / 2] = static_cast<uint8_t>(code[count - 1] << 4);
    }
  });
  Nf4State state;
  double sum = 0;
  for (float a : absmax) sum += a;
  state.offset = blocks ? static_cast<float>(sum / static_cast<double>(blocks)) : 0;
  for (int64_t first = 0; first < blocks; first += kNf4Nested) {
    const int64_t last = std::min(blocks, first + kNf4Nested);
    float largest = 0;
    for (int64_t b = first; b < last; ++b) largest = std::max(largest, std::abs(absmax[static_cast<size_t>(b)] - state.offset));
    state.nested_absmax.push_back(largest);
    for (int64_t b = first; b < last; ++b) {
      const float normalized = largest > 0 ? (absmax[static_cast<size_t>(b)] - state.offset) / largest : 0;
      state.absmax_code.push_back(static_cast<uint8_t>(nearest_code(nf4_dynamic_map(), 256, on_grid(normalized))));
    }
  }
  return state;
}

void nf4_dequantize(const uint8_t* codes, const Nf4State& state, int64_t begin, int64_t end, float* out) {
  for (int64_t i = begin; i < end;) {
    const int64_t block = i / kNf4Block, stop = std::min(end, (block + 1) * kNf4Block);
    const float absmax = state.absmax(block);
    for (; i < stop; ++i) *out++ = kNf4Values[i % 2 ? codes[i / 2] & 15 : codes[i / 2] >> 4] * absmax;
  }
}

}  // namespace hone::quant
