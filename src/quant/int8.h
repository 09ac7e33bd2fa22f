// Signed bytes with one scale per row: the base format of int8 products.
#pragma once

#include <cstdint>

namespace hone::quant {

/// q[i] = round(x[i] · 127 / max|x|), ties to even; returns the scale max|x| / 127, so that x ≈ scale · q.
float int8_quantize_row(const float* x, int64_t n, int8_t* q);

}  // namespace hone::quant
