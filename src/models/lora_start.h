// How adapters begin that take over a part of their weight.
#pragma once

#include <string>

#include "ops/device.h"

namespace hone::models {

/// A (R, K) and B (N, R), F32. The weight loses scale · B·A.
struct LowRank {
  Tensor a, b;
};

/// The part of weight (N, K) F32 that its `rank` largest singular values make: B·A = U·Σ·Vᵀ / scale, each side with √(Σ / scale). By
/// subspace iteration with the Gram matrix's Ritz vectors; deterministic. scale > 0, rank ≤ min(N, K).
LowRank principal_part(const Tensor& weight, int64_t rank, double scale);

/// B: an orthonormal basis of the weight's first `rank` columns; A = Bᵀ·weight. (Rows of A and columns of B may have the other sign than
/// LAPACK's, which changes no product and no step of training.)
LowRank orthonormal_part(const Tensor& weight, int64_t rank);

/// Which of them an adapter begins with.
enum class Part { kPrincipal, kOrthonormal };
LowRank part_of(const Tensor& weight, Part part, int64_t rank, double scale);
/// Why a weight of this shape has no such part; empty: it has. The work of a principal part grows with the square of
/// the rank.
std::string part_obstacle(const Shape& weight, Part part, int64_t rank, double scale);

}  // namespace hone::models
