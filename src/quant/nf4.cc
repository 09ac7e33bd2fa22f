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

Nf4State nf4_quantize(const float* x, int64_t n, uint8_t* codes) {
  const int64_t blocks = (n + kNf4Block - 1) / kNf4Block;
  std::vector<float> absmax(static_cast<size_t>(blocks));
  // A block's codes fill whole bytes, so blocks can be coded in parallel.
  ThreadPool::global().ranges(blocks, 512, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      const int64_t begin = block * kNf4Block, end = std::min(n, begin + kNf4Block);
      float largest = 0;
      for (int64_t i = begin; i < end; ++i) largest = std::max(largest, std::abs(x[i]));
      absmax[static_cast<size_t>(block)] = largest;
      const float inverse = largest > 0 ? 1.0f / largest : 0;
      for (int64_t i = begin; i < end; ++i) {
        const auto code = static_cast<uint8_t>(nearest_code(kNf4Values, 16, x[i] * inverse));
        if (i % 2 == 0) codes[i / 2] = static_cast<uint8_t>(code << 4);
        else codes[i / 2] |= code;
      }
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
