#include "models/lora_start.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/rng.h"

namespace hone::models {
namespace {

constexpr int64_t kMostPrincipal = 256;
constexpr int kLeastIterations = 8, kMostIterations = 200, kMostSweeps = 60;
constexpr double kConverged = 1e-9;  // relative change of the sum of squared singular values that are wanted

using Square = std::vector<double>;  // (n, n), row by row

// (M, N) F32 = a·b, aᵀ·b or a·bᵀ.
Tensor product(const Tensor& a, bool a_transposed, const Tensor& b, bool b_transposed) {
  const kernels::Matrix left = ops::matrix(a), right = ops::matrix(b);
  Tensor c = Tensor::empty({a_transposed ? left.cols : left.rows, b_transposed ? right.rows : right.cols}, DType::kF32);
  kernels::Gemm g;
  g.m = c.size(0);
  g.n = c.size(1);
  g.products[0] = {left, a_transposed, right, b_transposed, 1};
  g.c = c.raw_mutable();
  g.ldc = g.n;
  g.precision = kernels::Precision::kF32;
  ops::kernels_for(c).gemm(&g, 1, ops::threads());
  return c;
}

// Makes the columns of m (rows, n) orthonormal: Gram-Schmidt, twice, in double. Columns that depend on those before become zero.
void orthonormalize(const Tensor& m) {
  const int64_t rows = m.size(0), n = m.size(1);
  std::vector<std::vector<double>> columns(static_cast<size_t>(n), std::vector<double>(static_cast<size_t>(rows)));
  auto* values = m.data_mutable<float>();
  for (int64_t c = 0; c < n; ++c)
    for (int64_t r = 0; r < rows; ++r) columns[static_cast<size_t>(c)][static_cast<size_t>(r)] = values[r * n + c];
  for (size_t c = 0; c < columns.size(); ++c) {
    std::vector<double>& own = columns[c];
    const double before = std::sqrt(std::inner_product(own.begin(), own.end(), own.begin(), 0.0));
    for (int pass = 0; pass < 2; ++pass)
      for (size_t other = 0; other < c; ++other) {
        const double along = std::inner_product(own.begin(), own.end(), columns[other].begin(), 0.0);
        for (size_t r = 0; r < own.size(); ++r) own[r] -= along * columns[other][r];
      }
    const double length = std::sqrt(std::inner_product(own.begin(), own.end(), own.begin(), 0.0));
    for (double& x : own) x = length > 1e-7 * before && length > 0 ? x / length : 0;
  }
  for (int64_t c = 0; c < n; ++c)
    for (int64_t r = 0; r < rows; ++r) values[r * n + c] = static_cast<float>(columns[static_cast<size_t>(c)][static_cast<size_t>(r)]);
}

// Eigenvalues (falling) and eigenvectors (columns) of a symmetric matrix, by cyclic Jacobi rotations (Golub & Van Loan, section 8.5).
void eigen(Square& m, Square& vectors, std::vector<double>& values, size_t n) {
  vectors.assign(n * n, 0);
  for (size_t i = 0; i < n; ++i) vectors[i * n + i] = 1;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    double off = 0, on = 0;
    for (size_t p = 0; p < n; ++p)
      for (size_t q = 0; q < n; ++q) (p == q ? on : off) += m[p * n + q] * m[p * n + q];
    if (off <= 1e-30 * on) break;
    for (size_t p = 0; p < n; ++p)
      for (size_t q = p + 1; q < n; ++q) {
        if (m[p * n + q] == 0) continue;
        const double theta = (m[q * n + q] - m[p * n + p]) / (2 * m[p * n + q]);
        const double t = (theta >= 0 ? 1.0 : -1.0) / (std::abs(theta) + std::sqrt(theta * theta + 1)), c = 1 / std::sqrt(t * t + 1), s = t * c;
        for (size_t k = 0; k < n; ++k) {
          const double kp = m[k * n + p], kq = m[k * n + q];
          m[k * n + p] = c * kp - s * kq;
          m[k * n + q] = s * kp + c * kq;
        }
        for (size_t k = 0; k < n; ++k) {
          const double pk = m[p * n + k], qk = m[q * n + k];
          m[p * n + k] = c * pk - s * qk;
          m[q * n + k] = s * pk + c * qk;
        }
        for (size_t k = 0; k < n; ++k) {
          const double kp = vectors[k * n + p], kq = vectors[k * n + q];
          vectors[k * n + p] = c * kp - s * kq;
          vectors[k * n + q] = s * kp + c * kq;
        }
      }
  }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return m[a * n + a] > m[b * n + b]; });
  Square sorted(n * n);
  values.resize(n);
  for (size_t i = 0; i < n; ++i) {
    values[i] = m[order[i] * n + order[i]];
    for (size_t k = 0; k < n; ++k) sorted[k * n + i] = vectors[k * n + order[i]];
  }
  vectors = std::move(sorted);
}

Square gram(const Tensor& y) {
  const int64_t rows = y.size(0), n = y.size(1);
  Square m(static_cast<size_t>(n * n), 0);
  const auto* values = y.data<float>();
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t p = 0; p < n; ++p) {
      const double left = values[r * n + p];
      for (int64_t q = p; q < n; ++q) m[static_cast<size_t>(p * n + q)] += left * double{values[r * n + q]};
    }
  for (int64_t p = 0; p < n; ++p)
    for (int64_t q = 0; q < p; ++q) m[static_cast<size_t>(p * n + q)] = m[static_cast<size_t>(q * n + p)];
  return m;
}

}  // namespace

LowRank principal_part(const Tensor& weight, int64_t rank, double scale) {
  const int64_t rows = weight.size(0), cols = weight.size(1);
  HONE_CHECK(rank >= 1 && rank <= std::min(rows, cols) && scale > 0, "principal_part: rank {} of {}, scale {}", rank, weight.shape().str(), scale);
  const int64_t width = std::min({rows, cols, rank + std::max<int64_t>(16, rank)});  // columns beyond the rank make it converge
  Tensor basis = Tensor::empty({cols, width}, DType::kF32);
  const Rng rng{1, Rng::kInit, 0};
  for (int64_t i = 0; i < basis.elements(); ++i) basis.data_mutable<float>()[i] = rng.normal(static_cast<uint64_t>(i));
  orthonormalize(basis);
  const auto n = static_cast<size_t>(width);
  Tensor y;  // weight · basis
  Square vectors;
  std::vector<double> values;
  double before = 0;
  for (int step = 0; step < kMostIterations; ++step) {
    y = product(weight, false, basis, false);
    Square m = gram(y);
    eigen(m, vectors, values, n);
    const double sum = std::accumulate(values.begin(), values.begin() + rank, 0.0);
    if (step >= kLeastIterations && std::abs(sum - before) <= kConverged * sum) break;
    before = sum;
    basis = product(weight, true, y, false);
    orthonormalize(basis);
  }
  LowRank part{Tensor::empty({rank, cols}, DType::kF32), Tensor::empty({rows, rank}, DType::kF32)};
  for (int64_t r = 0; r < rank; ++r) {
    const double sigma = std::sqrt(std::max(values[static_cast<size_t>(r)], 0.0)), share = std::sqrt(sigma / scale);
    const auto combined = [&](const Tensor& from, int64_t row) {
      double sum = 0;
      for (size_t k = 0; k < n; ++k) sum += double{from.data<float>()[row * width + static_cast<int64_t>(k)]} * vectors[k * n + static_cast<size_t>(r)];
      return sum;
    };
    for (int64_t c = 0; c < cols; ++c) part.a.data_mutable<float>()[r * cols + c] = static_cast<float>(share * combined(basis, c));
    for (int64_t i = 0; i < rows; ++i) part.b.data_mutable<float>()[i * rank + r] = sigma > 0 ? static_cast<float>(share / sigma * combined(y, i)) : 0;
  }
  return part;
}

LowRank orthonormal_part(const Tensor& weight, int64_t rank) {
  const int64_t rows = weight.size(0), cols = weight.size(1);
  HONE_CHECK(rank >= 1 && rank <= std::min(rows, cols), "orthonormal_part: rank {} of {}", rank, weight.shape().str());
  LowRank part;
  part.b = Tensor::empty({rows, rank}, DType::kF32);
  for (int64_t r = 0; r < rows; ++r) std::copy_n(weight.data<float>() + r * cols, rank, part.b.data_mutable<float>() + r * rank);
  orthonormalize(part.b);
  part.a = product(part.b, true, weight, false);
  return part;
}

LowRank part_of(const Tensor& weight, Part part, int64_t rank, double scale) {
  return part == Part::kPrincipal ? principal_part(weight, rank, scale) : orthonormal_part(weight, rank);
}

std::string part_obstacle(const Shape& weight, Part part, int64_t rank, double scale) {
  if (rank > std::min(weight[0], weight[1]))
    return fmt::format("rank {} is more than the weight {} has", rank, weight.str());
  if (part == Part::kPrincipal && (rank > kMostPrincipal || !(scale > 0)))
    return fmt::format("pissa needs a rank of at most {} and an alpha above 0", kMostPrincipal);
  return {};
}

}  // namespace hone::models
