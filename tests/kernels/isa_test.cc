// Every kernel of every instruction set this machine has, against the scalar reference: odd sizes, unaligned rows, all types.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/table.h"
#include "quant/bf16.h"
#include "quant/nf4.h"

namespace hone::kernels {
namespace {

ThreadPool& pool() {
  static ThreadPool two(2);
  return two;
}

std::vector<Isa> fast_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : available_isas())
    if (isa != Isa::kScalar) isas.push_back(isa);
  return isas;
}

// A matrix with storage of its own, rows `gap` bytes further apart than they need to be.
struct Owned {
  std::vector<unsigned char> bytes;
  quant::Nf4State nf4;
  Matrix matrix;
};

float value(const Rng& rng, int64_t i) { return rng.normal(static_cast<uint64_t>(i)); }

Owned random_matrix(DType type, int64_t rows, int64_t cols, uint32_t stream, int64_t gap = 0) {
  const Rng rng{7, stream, 0};
  Owned m;
  if (type == DType::kNF4) {
    std::vector<float> x(static_cast<size_t>(rows * cols));
    for (size_t i = 0; i < x.size(); ++i) x[i] = value(rng, static_cast<int64_t>(i));
    m.bytes.resize((x.size() + 1) / 2);
    m.nf4 = quant::nf4_quantize(x.data(), static_cast<int64_t>(x.size()), m.bytes.data());
    m.matrix = {m.bytes.data(), type, rows, cols, 0, nullptr};
    return m;
  }
  const int64_t stride = row_bytes(type, cols) + gap;
  m.bytes.resize(static_cast<size_t>(stride * rows + 64));
  for (int64_t r = 0; r < rows; ++r) {
    unsigned char* row = m.bytes.data() + r * stride;
    if (type == DType::kF32 || type == DType::kBF16) {
      for (int64_t c = 0; c < cols; ++c) {
        const float v = value(rng, r * cols + c);
        const BF16 half = to_bf16(v);
        if (type == DType::kF32) std::memcpy(row + 4 * c, &v, 4);
        else std::memcpy(row + 2 * c, &half, 2);
      }
      continue;
    }
    // Any bytes are valid codes; scales and minima must be ordinary F16 numbers.
    for (int64_t i = 0; i < row_bytes(type, cols); ++i) row[i] = static_cast<unsigned char>(rng.bits(static_cast<uint64_t>(r * 100000 + i)));
    const auto& t = traits(type);
    for (int64_t b = 0; b < cols / t.block_elements; ++b) {
      const F16 d = to_f16(0.01f + 0.001f * static_cast<float>(b % 7)), minimum = to_f16(-0.05f);
      unsigned char* block = row + b * t.block_bytes;
      if (type == DType::kQ6_K) std::memcpy(block + 208, &d, 2);
      else std::memcpy(block, &d, 2);
      if (type == DType::kQ4_1 || type == DType::kQ5_1 || type == DType::kQ4_K || type == DType::kQ5_K) std::memcpy(block + 2, &minimum, 2);
    }
  }
  m.matrix = {m.bytes.data(), type, rows, cols, gap ? stride : 0, nullptr};
  return m;
}

Matrix of(const Owned& m) {
  Matrix copy = m.matrix;
  if (copy.type == DType::kNF4) copy.nf4 = &m.nf4;
  return copy;
}

// |a − b| ≤ bound · scale, where scale is the reference's largest magnitude.
void expect_close(const std::vector<float>& a, const std::vector<float>& b, float bound) {
  ASSERT_EQ(a.size(), b.size());
  float scale = 1e-6f;
  for (const float x : b) scale = std::max(scale, std::abs(x));
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], bound * scale) << "element " << i;
}

std::vector<float> run(const KernelTable& k, Gemm g) {
  std::vector<float> c(static_cast<size_t>(g.m * g.n), 0.5f);
  g.c = c.data();
  g.c_type = DType::kF32;
  g.ldc = g.n;
  k.gemm(&g, 1, pool());
  return c;
}

struct Case { int64_t m, n, k; };
constexpr Case kCases[] = {{1, 64, 256}, {3, 33, 512}, {5, 7, 256}, {12, 32, 256}, {13, 97, 768}, {64, 256, 512}, {37, 300, 1280}, {130, 16, 256}};

TEST(Gemm, EveryWeightTypeInBothDirections) {
  for (const Isa isa : fast_isas())
    for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1,
                             DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kNF4})
      for (const auto& [m, n, k] : kCases)
        for (const bool transposed : {true, false})
          for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
            if (type == DType::kF16) continue;  // its random bytes are made by random_matrix for blocks only
            const int64_t cols = transposed ? k : (n + 255) / 256 * 256;
            if (!transposed && n != cols) continue;
            SCOPED_TRACE(fmt::format("{} {} ({}, {}, {}) transposed {} {}", name(isa), name(type), m, n, k, transposed, precision == Precision::kF32 ? "f32" : "bf16"));
            const Owned a = random_matrix(DType::kF32, m, k, 1, 4), b = random_matrix(type, transposed ? n : k, cols, 2);
            Gemm g;
            g.m = m;
            g.n = n;
            g.products[0] = {of(a), false, of(b), transposed, 1};
            g.precision = precision;
            expect_close(run(kernels(isa), g), run(kernels(Isa::kScalar), g), precision == Precision::kF32 ? 2e-6f : m <= 4 ? 2e-2f : 3e-6f);  // few rows are not rounded to bf16
          }
}

TEST(Gemm, TwoProductsBiasAccumulateAndTransposedA) {
  for (const Isa isa : fast_isas())
    for (const auto& [m, n, k] : kCases) {
      SCOPED_TRACE(fmt::format("{} ({}, {}, {})", name(isa), m, n, k));
      const Owned a = random_matrix(DType::kBF16, k, m, 1, 6), b = random_matrix(DType::kF32, k, n, 2), a2 = random_matrix(DType::kF32, m, 9, 3),
                  b2 = random_matrix(DType::kF32, n, 9, 4), bias = random_matrix(DType::kF32, 1, n, 5);
      Gemm g;
      g.m = m;
      g.n = n;
      g.count = 2;
      g.products[0] = {of(a), true, of(b), false, 0.5f};
      g.products[1] = {of(a2), false, of(b2), true, 2};
      g.accumulate = true;
      g.bias = reinterpret_cast<const float*>(bias.bytes.data());
      g.precision = Precision::kF32;
      expect_close(run(kernels(isa), g), run(kernels(Isa::kScalar), g), 2e-6f);
    }
}

// A matrix of bytes with a scale per row; the reference quantises A in blocks exactly as the fast kernels do.
TEST(Gemm, Int8InBothDirectionsWithALowRankProduct) {
  for (const Isa isa : fast_isas())
    for (const auto& [m, n, k] : {Case{12, 32, 128}, Case{13, 97, 768}, Case{64, 256, 576}, Case{37, 301, 1283}, Case{130, 17, 30}, Case{5, 5, 3}})
      for (const bool transposed : {true, false})
        for (const DType type : {DType::kF32, DType::kBF16}) {
          if (!kernels(isa).has_int8) continue;
          SCOPED_TRACE(fmt::format("{} {} ({}, {}, {}) transposed {}", name(isa), name(type), m, n, k, transposed));
          const int64_t rows = transposed ? n : k, cols = transposed ? k : n;
          std::vector<int8_t> codes(static_cast<size_t>(rows * cols));
          std::vector<float> scales(static_cast<size_t>(rows));
          const Rng rng{7, 9, 0};
          for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<int8_t>(rng.bits(i) % 255 - 127);
          for (size_t i = 0; i < scales.size(); ++i) scales[i] = 0.01f + 0.02f * rng.uniform(i);
          const Owned a = random_matrix(type, m, k, 1, 4), low = random_matrix(type, m, 16, 3), high = random_matrix(DType::kF32, transposed ? n : 16, transposed ? 16 : n, 4);
          Gemm g;
          g.m = m;
          g.n = n;
          g.count = 2;
          g.products[0] = {of(a), false, {codes.data(), DType::kI8, rows, cols, 0, nullptr, scales.data()}, transposed, 0.5f};
          g.products[1] = {of(low), false, of(high), transposed, 2};
          g.accumulate = true;
          g.precision = Precision::kInt8;
          expect_close(run(kernels(isa), g), run(kernels(Isa::kScalar), g), 1e-5f);
        }
}

// Three layers over one input and a thin one, as one group: each result is what its own call gives; one adds to another matrix.
TEST(Gemm, GroupsShareTheirInput) {
  for (const Isa isa : fast_isas())
    for (const DType type : {DType::kQ8_0, DType::kBF16})
      for (const int64_t m : {3, 61}) {
        SCOPED_TRACE(fmt::format("{} {} {}", name(isa), name(type), m));
        const Owned x = random_matrix(DType::kBF16, m, 1280, 1), other = random_matrix(DType::kBF16, m, 640, 8), low = random_matrix(DType::kF32, m, 16, 2);
        const int64_t widths[] = {300, 64, 16, 97};
        std::vector<Owned> weights, ups, addends;
        for (size_t i = 0; i < 4; ++i) {
          weights.push_back(random_matrix(type, widths[i], i == 3 ? 640 : 1280, static_cast<uint32_t>(10 + i)));
          ups.push_back(random_matrix(DType::kF32, widths[i], 16, static_cast<uint32_t>(20 + i)));
          addends.push_back(random_matrix(DType::kF32, m, widths[i], static_cast<uint32_t>(30 + i)));
        }
        std::vector<Gemm> calls(4);
        std::vector<std::vector<float>> results;
        for (size_t i = 0; i < 4; ++i) results.emplace_back(static_cast<size_t>(m * widths[i]), 0.0f);
        for (size_t i = 0; i < 4; ++i) {
          Gemm& g = calls[i];
          g.m = m;
          g.n = g.ldc = widths[i];
          g.count = 2;
          g.products[0] = {of(i == 3 ? other : x), false, of(weights[i]), true, 1};
          g.products[1] = {of(low), false, of(ups[i]), true, 0.5f};
          g.c = results[i].data();
          if (i == 1) g.addend = addends[i].bytes.data();
        }
        kernels(isa).gemm(calls.data(), 4, pool());
        for (size_t i = 0; i < 4; ++i) {
          std::vector<float> alone(results[i].size());
          calls[i].c = alone.data();
          kernels(Isa::kScalar).gemm(&calls[i], 1, pool());
          expect_close(results[i], alone, m <= 4 ? 2e-2f : 3e-6f);
        }
      }
}

TEST(Gemm, Int8KeepsNonFiniteInput) {
  for (const Isa isa : fast_isas())
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      std::vector<float> a(16 * 256, 1.0f), scales(32, 1.0f);
      std::vector<int8_t> codes(32 * 256, 1);
      a[5 * 256 + 200] = bad;
      Gemm g;
      g.m = 16;
      g.n = 32;
      g.products[0] = {{a.data(), DType::kF32, 16, 256, 0, nullptr, nullptr}, false, {codes.data(), DType::kI8, 32, 256, 0, nullptr, scales.data()}, true, 1};
      g.precision = Precision::kInt8;
      const auto c = run(kernels(isa), g);
      for (int64_t j = 0; j < 32; ++j) {
        EXPECT_FALSE(std::isfinite(c[static_cast<size_t>(5 * 32 + j)])) << name(isa);
        EXPECT_FLOAT_EQ(c[static_cast<size_t>(4 * 32 + j)], 256) << name(isa);
      }
    }
}

// The products of a LoRA layer's backward pass, with bf16 multiplications: dA = dtᵀ·x and dx = dy·W read bf16 rows side by side,
// at odd sizes, rows further apart than they need to be, an odd summed axis and a last panel that is not full.
TEST(Gemm, SideBySideRowsOfBf16) {
  for (const Isa isa : fast_isas())
    for (const auto& [m, n, k] : {Case{16, 576, 37}, Case{577, 16, 130}, Case{7, 33, 1}, Case{61, 97, 515}, Case{49, 5, 64}})
      for (const float alpha : {1.0f, 0.5f})
        for (const DType type : {DType::kBF16, DType::kF32}) {
          SCOPED_TRACE(fmt::format("{} {} ({}, {}, {}) alpha {}", name(isa), name(type), m, n, k, alpha));
          const Owned a = random_matrix(type, k, m, 1, 6), b = random_matrix(type, k, n, 2, 2);
          Gemm g;
          g.m = m;
          g.n = n;
          g.products[0] = {of(a), true, of(b), false, alpha};
          expect_close(run(kernels(isa), g), run(kernels(Isa::kScalar), g), 5e-6f);
        }
}

// x·Aᵀ and dy·B of a LoRA layer: few columns, bf16 rows that are read where they lie.
TEST(Gemm, ThinColumns) {
  for (const Isa isa : fast_isas())
    for (const auto& [m, n, k] : {Case{512, 16, 576}, Case{5, 16, 64}, Case{11, 8, 30}, Case{13, 64, 130}, Case{49, 33, 2}, Case{25, 3, 31}})
      for (const bool transposed : {true, false})
        for (const int64_t gap : {0, 4, 6}) {
          SCOPED_TRACE(fmt::format("{} ({}, {}, {}) transposed {} gap {}", name(isa), m, n, k, transposed, gap));
          const Owned a = random_matrix(DType::kBF16, m, k, 1, gap), b = random_matrix(DType::kF32, transposed ? n : k, transposed ? k : n, 2);
          Gemm g;
          g.m = m;
          g.n = n;
          g.products[0] = {of(a), false, of(b), transposed, 0.5f};
          g.accumulate = gap == 4;
          expect_close(run(kernels(isa), g), run(kernels(Isa::kScalar), g), 3e-6f);
        }
}

// More threads than the product has columns or rows for.
TEST(Gemm, NarrowProductsOnManyThreads) {
  ThreadPool many(40);
  for (const Isa isa : fast_isas())
    for (const int64_t m : {7, 300})
      for (const int64_t n : {1, 5, 70}) {
        SCOPED_TRACE(fmt::format("{} {} × {}", name(isa), m, n));
        const Owned a = random_matrix(DType::kF32, m, 31, 1), b = random_matrix(DType::kF32, n, 31, 2);
        std::vector<float> c(static_cast<size_t>(m * n));
        Gemm g;
        g.m = m;
        g.n = g.ldc = n;
        g.products[0] = {of(a), false, of(b), true, 1};
        g.c = c.data();
        g.precision = Precision::kF32;
        kernels(isa).gemm(&g, 1, many);
        expect_close(c, run(kernels(Isa::kScalar), g), 2e-6f);
      }
}

TEST(Gemm, LongSumsPassThroughSeveralChunks) {
  for (const Isa isa : fast_isas()) {
    const Owned a = random_matrix(DType::kBF16, 40, 9000, 1), b = random_matrix(DType::kBF16, 70, 9000, 2);
    Gemm g;
    g.m = 40;
    g.n = 70;
    g.products[0] = {of(a), false, of(b), true, 1};
    expect_close(run(kernels(isa), g), run(kernels(Isa::kScalar), g), 1e-5f);
  }
}

TEST(Gemm, DoesNotDependOnTheNumberOfThreads) {
  ThreadPool one(1), three(3);
  const Owned a = random_matrix(DType::kBF16, 50, 512, 1), b = random_matrix(DType::kQ4_1, 200, 512, 2);
  for (const Isa isa : fast_isas()) {
    Gemm g;
    g.m = 50;
    g.n = 200;
    g.products[0] = {of(a), false, of(b), true, 1};
    std::vector<float> x(10000), y(10000);
    g.ldc = 200;
    g.c = x.data();
    kernels(isa).gemm(&g, 1, one);
    g.c = y.data();
    kernels(isa).gemm(&g, 1, three);
    EXPECT_EQ(std::memcmp(x.data(), y.data(), x.size() * 4), 0) << name(isa);
  }
}

struct Heads { int64_t heads, kv_heads, head_dim, value_dim; std::vector<int32_t> segments; bool cached; };

TEST(Attention, ForwardAndBackward) {
  const Heads kShapes[] = {{3, 1, 64, 64, {0, 5, 6, 130}, false}, {4, 2, 24, 20, {0, 100}, false}, {2, 2, 16, 16, {0, 1, 50}, false}, {4, 4, 40, 16, {0, 3}, true}};
  for (const Isa isa : fast_isas())
    for (const DType type : {DType::kF32, DType::kBF16})
      for (const Heads& s : kShapes) {
        SCOPED_TRACE(fmt::format("{} {} heads {} of {}", name(isa), name(type), s.heads, s.head_dim));
        const int64_t queries = s.segments.back(), past = s.cached ? 70 : 0, keys = queries + past;
        std::vector<int32_t> k_begin = s.segments;
        if (s.cached) k_begin = {0, static_cast<int32_t>(keys)};
        const Owned q = random_matrix(type, queries, s.heads * s.head_dim, 1), k = random_matrix(type, keys, s.kv_heads * s.head_dim, 2),
                    v = random_matrix(type, keys, s.kv_heads * s.value_dim, 3), dout = random_matrix(type, queries, s.heads * s.value_dim, 4);
        AttentionShape shape;
        shape.segments = static_cast<int64_t>(s.segments.size()) - 1;
        shape.q_begin = s.segments.data();
        shape.k_begin = k_begin.data();
        shape.heads = s.heads;
        shape.kv_heads = s.kv_heads;
        shape.head_dim = s.head_dim;
        shape.value_dim = s.value_dim;
        shape.q_stride = s.heads * s.head_dim;
        shape.k_stride = s.kv_heads * s.head_dim;
        shape.v_stride = s.kv_heads * s.value_dim;
        shape.out_stride = s.heads * s.value_dim;
        shape.scale = 0.2f;
        shape.type = type;
        struct Result { std::vector<unsigned char> out, dq, dk, dv; std::vector<float> lse; };
        const auto compute = [&](Isa which) {
          Result r;
          r.out.resize(dout.bytes.size());
          r.dq.resize(q.bytes.size());
          r.dk.resize(k.bytes.size());
          r.dv.resize(v.bytes.size());
          r.lse.resize(static_cast<size_t>(queries * s.heads));
          const KernelTable& table = kernels(which);
          table.attention(shape, q.bytes.data(), k.bytes.data(), v.bytes.data(), r.out.data(), r.lse.data(), pool());
          table.attention_backward(shape, q.bytes.data(), k.bytes.data(), v.bytes.data(), r.out.data(), r.lse.data(), dout.bytes.data(), r.dq.data(),
                                   r.dk.data(), r.dv.data(), pool());
          return r;
        };
        const auto floats = [&](const std::vector<unsigned char>& bytes, int64_t count) {
          std::vector<float> x(static_cast<size_t>(count));
          const Matrix m{bytes.data(), type, 1, count, 0, nullptr};
          kernels(Isa::kScalar).decode(m, x.data(), DType::kF32, pool());
          return x;
        };
        const Result fast = compute(isa), slow = compute(Isa::kScalar);
        const float bound = type == DType::kF32 ? 1e-5f : 2e-2f;
        expect_close(fast.lse, slow.lse, bound);
        expect_close(floats(fast.out, queries * shape.out_stride), floats(slow.out, queries * shape.out_stride), bound);
        expect_close(floats(fast.dq, queries * shape.q_stride), floats(slow.dq, queries * shape.q_stride), bound);
        expect_close(floats(fast.dk, keys * shape.k_stride), floats(slow.dk, keys * shape.k_stride), bound);
        expect_close(floats(fast.dv, keys * shape.v_stride), floats(slow.dv, keys * shape.v_stride), bound);
      }
}

// Runs `call` on both tables and compares the floats it returns.
template <class Call>
void compare(float bound, Call call) {
  for (const Isa isa : fast_isas()) {
    SCOPED_TRACE(name(isa));
    expect_close(call(kernels(isa)), call(kernels(Isa::kScalar)), bound);
  }
}

TEST(Elementwise, NormsActivationsRopeAndLoss) {
  for (const int64_t cols : {1, 15, 64, 576, 1001}) {
    const Owned x = random_matrix(DType::kF32, 9, cols, 1), dy = random_matrix(DType::kF32, 9, cols, 2), w = random_matrix(DType::kF32, 1, cols, 3);
    const auto* weight = reinterpret_cast<const float*>(w.bytes.data());
    const auto n = static_cast<size_t>(9 * cols);
    compare(2e-6f, [&](const KernelTable& k) {
      std::vector<float> out(3 * n + 9 + static_cast<size_t>(cols), 0.25f);
      k.rms_norm(9, cols, x.bytes.data(), DType::kF32, weight, 1e-5f, out.data(), out.data() + n, pool());
      k.rms_norm_backward(9, cols, x.bytes.data(), dy.bytes.data(), DType::kF32, weight, out.data() + n, out.data() + n + 9, true, out.data() + 2 * n + 9, pool());
      return out;
    });
    compare(2e-6f, [&](const KernelTable& k) {
      std::vector<float> out(4 * n);
      k.swiglu(9 * cols, x.bytes.data(), dy.bytes.data(), out.data(), DType::kF32, pool());
      k.swiglu_backward(9 * cols, x.bytes.data(), dy.bytes.data(), x.bytes.data(), out.data() + n, out.data() + 2 * n, DType::kF32, pool());
      k.axpby(9 * cols, 0.3f, x.bytes.data(), DType::kF32, 0, out.data() + 3 * n, DType::kF32, pool());
      k.axpby(9 * cols, 0.3f, x.bytes.data(), DType::kF32, 2, out.data() + 3 * n, DType::kF32, pool());
      return out;
    });
    compare(2e-6f, [&](const KernelTable& k) {
      std::vector<float> out(n + 9), state(3 * n, 0.1f);
      std::memcpy(out.data(), x.bytes.data(), 4 * n);
      std::vector<int32_t> labels(9);
      for (size_t i = 0; i < 9; ++i) labels[i] = static_cast<int32_t>(static_cast<int64_t>(i) % cols);
      std::vector<uint8_t> correct(9);
      k.cross_entropy(9, cols, out.data(), DType::kF32, labels.data(), 0.5f, true, out.data() + n, correct.data(), pool());
      for (const uint8_t c : correct) out.push_back(c);
      k.adamw(9 * cols, state.data(), out.data(), state.data() + n, state.data() + 2 * n, 0.01f, 0.9f, 0.99f, 1e-8f, 0.1f, 0.5f, 0.1f, 0.01f, pool());
      out.insert(out.end(), state.begin(), state.end());
      return out;
    });
  }
  const Owned x = random_matrix(DType::kBF16, 7, 3 * 80, 1), angles = random_matrix(DType::kF32, 7, 64, 2);
  const auto* cos = reinterpret_cast<const float*>(angles.bytes.data());
  const std::vector<int32_t> positions = {0, 1, 2, 3, 6, 5, 4};
  for (const bool interleaved : {false, true})
    compare(1e-2f, [&](const KernelTable& k) {
      std::vector<uint16_t> y(7 * 240);
      k.rope(7, 3, 80, 64, x.bytes.data(), 240, y.data(), 240, DType::kBF16, positions.data(), cos, cos + 32, interleaved, 1, pool());
      std::vector<float> out;
      for (const uint16_t bits : y) out.push_back(to_float(BF16{bits}));
      return out;
    });
}

TEST(Elementwise, CrossEntropyOfBf16Logits) {
  for (const Isa isa : fast_isas())
    for (const int64_t vocab : {1, 7, 16, 33, 5003}) {
      SCOPED_TRACE(fmt::format("{} {}", name(isa), vocab));
      const Owned logits = random_matrix(DType::kBF16, 9, vocab, 4);
      std::vector<int32_t> labels;
      for (int64_t t = 0; t < 9; ++t) labels.push_back(static_cast<int32_t>(t * 13 % vocab));
      const auto compute = [&](const KernelTable& k) {
        std::vector<unsigned char> z = logits.bytes;
        std::vector<float> out(9);
        std::vector<uint8_t> correct(9);
        k.cross_entropy(9, vocab, z.data(), DType::kBF16, labels.data(), 0.5f, true, out.data(), correct.data(), pool());
        for (int64_t i = 0; i < 9 * vocab; ++i) {
          BF16 half;
          std::memcpy(&half, z.data() + 2 * i, 2);
          out.push_back(to_float(half));
        }
        for (const uint8_t c : correct) out.push_back(c);
        return out;
      };
      expect_close(compute(kernels(isa)), compute(kernels(Isa::kScalar)), 4e-3f);
    }
}

// The random numbers belong to the element, so every instruction set drops the same ones, wherever a range begins.
TEST(Elementwise, DropoutIsEqual) {
  const Rng rng{0x123456789ABCDEFu, Rng::kDropout, 77};
  for (const DType type : {DType::kF32, DType::kBF16})
    for (const int64_t n : {1, 3, 63, 64, 65, 16384, 33333})
      for (const uint64_t first : {0ull, 1ull, 6ull, 0xFFFFFFFFFFull})
        for (const float p : {0.0f, 0.1f, 0.75f}) {
          const Owned x = random_matrix(type, 1, n, 1);
          std::vector<float> expected(static_cast<size_t>(n)), y(expected.size());
          kernels(Isa::kScalar).dropout(n, x.bytes.data(), expected.data(), type, p, rng, first, pool());
          for (const Isa isa : fast_isas()) {
            std::fill(y.begin(), y.end(), 0.0f);
            kernels(isa).dropout(n, x.bytes.data(), y.data(), type, p, rng, first, pool());
            ASSERT_EQ(std::memcmp(y.data(), expected.data(), y.size() * 4), 0) << name(isa) << " n " << n << " first " << first << " p " << p;
          }
        }
  // A dropped element is zero even where x is not finite.
  std::vector<float> x(1000, std::numeric_limits<float>::infinity()), y(1000);
  for (const Isa isa : fast_isas()) {
    kernels(isa).dropout(1000, x.data(), y.data(), DType::kF32, 0.5f, rng, 0, pool());
    EXPECT_GT(std::count(y.begin(), y.end(), 0.0f), 400) << name(isa);
    EXPECT_EQ(std::count_if(y.begin(), y.end(), [](float v) { return std::isnan(v); }), 0) << name(isa);
  }
}

TEST(Elementwise, AdamwIsEqualAndSumOfSquaresIsWide) {
  for (const int64_t n : {1, 17, 16384, 50001}) {
    const Owned g = random_matrix(DType::kF32, 1, n, 1), start = random_matrix(DType::kF32, 1, n, 2);
    const auto* grad = reinterpret_cast<const float*>(g.bytes.data());
    const auto updated = [&](Isa isa) {
      std::vector<float> state(static_cast<size_t>(3 * n), 0.0f);
      std::memcpy(state.data(), start.bytes.data(), static_cast<size_t>(4 * n));
      for (int step = 1; step <= 3; ++step)
        kernels(isa).adamw(n, state.data(), grad, state.data() + n, state.data() + 2 * n, 1e-2f, 0.9f, 0.99f, 1e-8f, 0.1f, 0.7f,
                           1 - std::pow(0.9f, static_cast<float>(step)), 1 - std::pow(0.99f, static_cast<float>(step)), pool());
      return state;
    };
    const std::vector<float> expected = updated(Isa::kScalar);
    const double sum = kernels(Isa::kScalar).sum_squares(n, grad, pool());
    for (const Isa isa : fast_isas()) {
      const std::vector<float> state = updated(isa);
      EXPECT_EQ(std::memcmp(state.data(), expected.data(), state.size() * 4), 0) << name(isa) << " n " << n;
      EXPECT_NEAR(kernels(isa).sum_squares(n, grad, pool()), sum, 1e-13 * sum) << name(isa) << " n " << n;
      std::vector<float> broken(grad, grad + n);
      broken.back() = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(std::isnan(kernels(isa).sum_squares(n, broken.data(), pool()))) << name(isa);
    }
  }
}

TEST(Decode, EveryTypeIsExact) {
  for (const DType type : {DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kNF4}) {
    SCOPED_TRACE(name(type));
    const Owned m = random_matrix(type, 3, 512, 1);
    compare(1e-6f, [&](const KernelTable& k) {
      std::vector<float> out(3 * 512 + 2 * 512);
      const int32_t ids[] = {2, 0};
      k.decode(of(m), out.data(), DType::kF32, pool());
      k.gather_rows(of(m), ids, 2, out.data() + 3 * 512, DType::kF32, pool());
      return out;
    });
  }
}

}  // namespace
}  // namespace hone::kernels
