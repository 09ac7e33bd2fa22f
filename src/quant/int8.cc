#include "quant/int8.h"

#include <algorithm>
#include <cmath>

namespace hone::quant {

float int8_quantize_row(const float* x, int64_t n, int8_t* q) {
  float top = 0;
  for (int64_t i = 0; i < n; ++i) top = std::max(top, std::abs(x[i]));
  const float inverse = top > 0 ? 127 / top : 0;
  // Adding and taking away 1.5 · 2²³ rounds to nearest even, in a loop that becomes vectors on every processor.
  constexpr float kMagic = 12582912.0f;
  for (int64_t i = 0; i < n; ++i) q[i] = static_cast<int8_t>(static_cast<int32_t>((x[i] * inverse + kMagic) - kMagic));
  return top / 127;
}

}  // namespace hone::quant
