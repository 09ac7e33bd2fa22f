// Weight decomposition (DoRA, Liu et al. 2024): a linear layer's rows are normed, and their lengths are learned apart.
#pragma once

#include "ops/linear.h"

namespace hone::ops {

/// Σ_k W[n, k]² of every row of a weight (N, K) in any storage type → (N) F32.
Tensor row_squares(const Tensor& weight);

/// ‖W + s·B·A‖ of every row, without making the sum: ‖w‖² + 2s·b·(A·w) + s²·b·(A·Aᵀ)·bᵀ. `squares`: row_squares(weight). → (N) F32.
Tensor row_norms(const Tensor& weight, const Tensor& squares, const Lora& lora);

/// y (T, N) = z · (m / norm) + bias + addend, column by column; z (T, N) = x·(W + s·B·A)ᵀ, m and norm (N) F32, bias (N) F32 and addend (T, N)
/// of z's type may be undefined. Keeps z. Backward: dz = dy · m / norm, dm = Σ_t dy·z / norm, dbias = Σ_t dy, daddend = dy; the norm is a
/// constant, as in the paper (section 4.3).
Variable magnitude(const Variable& z, const Variable& m, const Tensor& norm, const Variable& bias, const Variable& addend);

}  // namespace hone::ops
