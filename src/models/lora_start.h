// How adapters begin that take over a part of their weight.
#pragma once

#include "ops/device.h"

namespace hone::models {

/// A (R, K) and B (N, R), F32. The weight loses scale · B·A.
struct LowRank {
  Tensor a, b;
};

/// Of principal_part, whose work grows with the square of the rank.
constexpr int64_t kMostPrincipal = 256;

/// The part of weight (N, K) F32 that its `rank` largest singular values make: B·A = U·Σ·Vᵀ / scale, each side with √(Σ / scale). By
/// subspace iteration with the Gram matrix's Ritz vectors; deterministic. scale > 0, rank ≤ min(N, K).
LowRank principal_part(const Tensor& weight, int64_t rank, double scale);

/// B: an orthonormal basis of the weight's first `rank` columns; A = Bᵀ·weight. (Rows of A and columns of B may have the other sign than
/// LAPACK's, which changes no product and no step of training.)
LowRank orthonormal_part(const Tensor& weight, int64_t rank);

}  // namespace hone::models
