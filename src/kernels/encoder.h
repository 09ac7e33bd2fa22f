// What only encoders compute besides products and attention. Compiled once, for the least processor: these are a few per cent of an
// encoder's time, and the compiler turns their loops into vectors by itself.
#pragma once

#include <cstdint>

#include "base/thread_pool.h"

namespace hone::kernels {

/// y = (x − mean) / √(variance + eps) · weight + bias, row by row (rows, cols) F32; x and y may be the same.
void layer_norm(int64_t rows, int64_t cols, const float* x, const float* weight, const float* bias, float eps, float* y, ThreadPool&);

/// y = x/2 · (1 + erf(x/√2)) over n elements F32; x and y may be the same. The error function is the rational approximation 7.1.28 of
/// Abramowitz & Stegun, "Handbook of Mathematical Functions": off by at most 3·10⁻⁷.
void gelu(int64_t n, const float* x, float* y, ThreadPool&);

}  // namespace hone::kernels
