#include "ops/magnitude.h"

#include <cmath>

#include "quant/bf16.h"

namespace hone::ops {
namespace {

using kernels::Gemm;

constexpr int64_t kRows = 16;  // decoded at once, and a thread's share of a pass

// c (M, N) F32 = a·bᵀ or a·b.
Tensor product(const Tensor& a, const Tensor& stored, bool transposed) {
  Tensor b = stored;
  if (stored.in_panels()) {  // laid out to answer: products with F32 are not made of them
    b = Tensor::empty(stored.shape(), DType::kF32);
    kernels_for(b).decode(matrix(stored), b.raw_mutable(), DType::kF32, threads());
  }
  const kernels::Matrix right = matrix(b);
  Tensor c = Tensor::empty({matrix(a).rows, transposed ? right.rows : right.cols}, DType::kF32);
  Gemm g;
  g.m = c.size(0);
  g.n = c.size(1);
  g.products[0] = {matrix(a), false, right, transposed, 1};
  g.c = c.raw_mutable();
  g.ldc = g.n;
  g.precision = precision_of(DType::kF32, b);
  kernels_for(c).gemm(&g, 1, threads());
  return c;
}

// fn(t, values of row t as F32), rows shared out among threads in fixed ranges.
template <class Fn>
void each_row(const Tensor& t, Fn fn) {
  const int64_t rows = matrix(t).rows, cols = matrix(t).cols;
  threads().ranges(rows, kRows, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(cols));
    for (int64_t r = begin; r < end; ++r) {
      if (t.dtype() == DType::kF32) std::copy_n(t.data<float>() + r * cols, cols, row.begin());
      else
        for (int64_t c = 0; c < cols; ++c) row[static_cast<size_t>(c)] = to_float(t.data<BF16>()[r * cols + c]);
      fn(r, row);
    }
  });
}

void store(const Tensor& t, int64_t row, const std::vector<float>& values) {
  const auto cols = static_cast<int64_t>(values.size());
  if (t.dtype() == DType::kF32) std::copy(values.begin(), values.end(), t.data_mutable<float>() + row * cols);
  else
    for (int64_t c = 0; c < cols; ++c) t.data_mutable<BF16>()[row * cols + c] = to_bf16(values[static_cast<size_t>(c)]);
}

}  // namespace

Tensor row_squares(const Tensor& weight) {
  const int64_t rows = weight.size(0), cols = weight.size(1);
  Tensor squares = Tensor::empty({rows}, DType::kF32);
  const int64_t block = weight.nf4_state() ? rows : std::min<int64_t>(rows, 16 * kRows);  // NF4 has no rows of its own
  Tensor values = Tensor::empty({block, cols}, DType::kF32);
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    kernels_for(weight).decode(count == rows ? matrix(weight) : rows_of(matrix(weight), first, count), values.raw_mutable(), DType::kF32, threads());
    threads().ranges(count, kRows, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        double sum = 0;
        for (int64_t c = 0; c < cols; ++c) sum += double{values.data<float>()[r * cols + c]} * double{values.data<float>()[r * cols + c]};
        squares.data_mutable<float>()[first + r] = static_cast<float>(sum);
      }
    });
  }
  return squares;
}

Tensor row_norms(const Tensor& weight, const Tensor& squares, const Lora& lora) {
  const Tensor &a = lora.a.value(), &b = lora.b.value();
  const int64_t rows = weight.size(0), rank = a.size(0);
  HONE_CHECK(squares.elements() == rows && b.size(0) == rows && b.size(1) == rank && a.size(1) == weight.size(1), "row_norms: weight {}, A {}, B {}", weight.shape().str(),
             a.shape().str(), b.shape().str());
  const Tensor across = product(a, weight, true);                        // (R, N): A·w of every row
  const Tensor inner = product(b, product(a, a, true), false);           // (N, R): b·(A·Aᵀ)
  Tensor norms = Tensor::empty({rows}, DType::kF32);
  const double s = lora.scale;
  for (int64_t n = 0; n < rows; ++n) {
    double twice = 0, own = 0;
    for (int64_t r = 0; r < rank; ++r) {
      const double value = b.data<float>()[n * rank + r];
      twice += value * double{across.data<float>()[r * rows + n]};
      own += value * double{inner.data<float>()[n * rank + r]};
    }
    norms.data_mutable<float>()[n] = static_cast<float>(std::sqrt(std::max(0.0, double{squares.data<float>()[n]} + 2 * s * twice + s * s * own)));
  }
  return norms;
}

Variable magnitude(const Variable& z, const Variable& m, const Tensor& norm, const Variable& bias, const Variable& addend) {
  const profile::Scope scope("magnitude");
  const int64_t cols = norm.elements();
  check_activation("magnitude", z.value(), cols);
  HONE_CHECK(m.value().elements() == cols && (!bias.defined() || bias.value().elements() == cols), "magnitude: z {}, m {}, bias {}", z.shape().str(), m.shape().str(),
             bias.shape().str());
  HONE_CHECK(!addend.defined() || (addend.value().elements() == z.value().elements() && addend.value().dtype() == z.value().dtype()), "magnitude: addend {}", addend.shape().str());
  HONE_CHECK((!m.requires_grad() || m.leaf()) && (!bias.requires_grad() || bias.leaf()), "magnitude: trained vectors must be parameters");
  Tensor share = Tensor::empty({cols}, DType::kF32);
  for (int64_t c = 0; c < cols; ++c) share.data_mutable<float>()[c] = norm.data<float>()[c] > 0 ? m.value().data<float>()[c] / norm.data<float>()[c] : 0;
  Tensor y = Tensor::empty(z.shape(), z.value().dtype());
  each_row(z.value(), [&](int64_t t, std::vector<float>& row) {
    for (int64_t c = 0; c < cols; ++c) row[static_cast<size_t>(c)] *= share.data<float>()[c];
    if (bias.defined())
      for (int64_t c = 0; c < cols; ++c) row[static_cast<size_t>(c)] += bias.value().data<float>()[c];
    if (addend.defined()) {
      const Tensor& a = addend.value();
      for (int64_t c = 0; c < cols; ++c) row[static_cast<size_t>(c)] += a.dtype() == DType::kF32 ? a.data<float>()[t * cols + c] : to_float(a.data<BF16>()[t * cols + c]);
    }
    store(y, t, row);
  });
  return autograd::record("magnitude", {z, m, bias, addend}, y, [z = z.value(), share, norm, cols](std::vector<Tensor>& dy, autograd::Gradients& out) {
    const Tensor upstream = std::move(dy[0]);
    // Sums over rows in their order, a range of columns to a thread.
    Tensor dm = out.leaf(1), dbias = out.leaf(2);
    if (dm.defined() || dbias.defined()) {
      const int64_t rows = matrix(z).rows;
      const auto at = [](const Tensor& t, int64_t i) { return t.dtype() == DType::kF32 ? t.data<float>()[i] : to_float(t.data<BF16>()[i]); };
      threads().ranges(cols, 64, [&](int64_t begin, int64_t end) {
        std::vector<double> products(static_cast<size_t>(end - begin)), sums(products.size());
        for (int64_t t = 0; t < rows; ++t)
          for (int64_t c = begin; c < end; ++c) {
            const double g = at(upstream, t * cols + c);
            products[static_cast<size_t>(c - begin)] += g * double{at(z, t * cols + c)};
            sums[static_cast<size_t>(c - begin)] += g;
          }
        for (int64_t c = begin; c < end; ++c) {
          const float length = norm.data<float>()[c];
          if (dm.defined() && length > 0) dm.data_mutable<float>()[c] += static_cast<float>(products[static_cast<size_t>(c - begin)] / double{length});
          if (dbias.defined()) dbias.data_mutable<float>()[c] += static_cast<float>(sums[static_cast<size_t>(c - begin)]);
        }
      });
    }
    if (out.needed(0)) {
      Tensor dz = Tensor::empty(z.shape(), z.dtype());
      each_row(upstream, [&](int64_t t, std::vector<float>& row) {
        for (int64_t c = 0; c < cols; ++c) row[static_cast<size_t>(c)] *= share.data<float>()[c];
        store(dz, t, row);
      });
      out.add(0, dz);
    }
    if (out.needed(3)) out.add(3, upstream);
  });
}

}  // namespace hone::ops
