// Matrix products of every instruction set this machine has, against the scalar reference: odd sizes, unaligned rows, all types.
#include "kernels/random_matrix.h"

namespace hone::kernels {
namespace {

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
  for (const DType type : {DType::kF32, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kNF4})
    for (const auto& [m, n, k] : kCases)
      for (const bool transposed : {true, false}) {
        const int64_t cols = transposed ? k : (n + 255) / 256 * 256;
        if (!transposed && n != cols) continue;
        const Owned a = random_matrix(DType::kF32, m, k, 1, 4), b = random_matrix(type, transposed ? n : k, cols, 2);
        for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
          Gemm g;
          g.m = m;
          g.n = n;
          g.products[0] = {of(a), false, of(b), transposed, 1};
          g.precision = precision;
          const std::vector<float> expected = run(kernels(Isa::kScalar), g);
          for (const Isa isa : fast_isas()) {
            SCOPED_TRACE(fmt::format("{} {} ({}, {}, {}) transposed {} {}", name(isa), name(type), m, n, k, transposed, precision == Precision::kF32 ? "f32" : "bf16"));
            expect_close(run(kernels(isa), g), expected, precision == Precision::kF32 ? 2e-6f : 3e-6f);
          }
        }
      }
}

// Rows of generation: blocks by bytes, everything else in f32; a row's result is the same bit for bit in any company.
TEST(Gemm, RowsOfGenerationWithEveryWeightType) {
  for (const Isa isa : fast_isas())
    for (const DType type : {DType::kF32, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ4_K, DType::kQ5_K,
                             DType::kQ6_K, DType::kNF4, DType::kI8})
      for (const auto& [m, n, k] : {Case{1, 64, 256}, Case{2, 33, 512}, Case{7, 5, 768}, Case{23, 97, 256}, Case{3, 18, 288}, Case{5, 19, 30}})
        for (const DType a_type : {DType::kBF16, DType::kF32}) {
          if (type != DType::kI8 && k % traits(type).block_elements != 0) continue;
          SCOPED_TRACE(fmt::format("{} {} {} ({}, {}, {})", name(isa), name(a_type), name(type), m, n, k));
          const Owned a = random_matrix(a_type, m, k, 1, a_type == DType::kF32 ? 4 : 6), low = random_matrix(a_type, m, 9, 3), high = random_matrix(DType::kF32, n, 9, 4),
                      bias = random_matrix(DType::kF32, 1, n, 5);
          std::vector<int8_t> codes(static_cast<size_t>(n * k));
          std::vector<float> scales(static_cast<size_t>(n));
          const Rng rng{7, 9, 0};
          for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<int8_t>(rng.bits(i) % 255 - 127);
          for (size_t i = 0; i < scales.size(); ++i) scales[i] = 0.01f + 0.02f * rng.uniform(i);
          const Owned blocks = random_matrix(type == DType::kI8 ? DType::kF32 : type, n, k, 2);
          Gemm g;
          g.m = m;
          g.n = n;
          g.count = 2;
          g.products[0] = {of(a), false, type == DType::kI8 ? Matrix{codes.data(), DType::kI8, n, k, 0, nullptr, scales.data()} : of(blocks), true, 0.5f};
          g.products[1] = {of(low), false, of(high), true, 2};
          g.accumulate = true;
          g.bias = reinterpret_cast<const float*>(bias.bytes.data());
          g.precision = Precision::kRows;
          const std::vector<float> all = run(kernels(isa), g);
          expect_close(all, run(kernels(Isa::kScalar), g), 3e-6f);
          Gemm alone = g;
          alone.m = 1;
          for (Product* p : {&alone.products[0], &alone.products[1]}) p->a.rows = 1;
          EXPECT_EQ(run(kernels(isa), alone), std::vector<float>(all.begin(), all.begin() + n));
        }
}

// Weights in panels give what the same weights in rows give: in generation, in tiles (any part of the panels), and row by row.
TEST(Gemm, WeightsInPanels) {
  for (const DType type : {DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K})
    for (const auto& [m, n, k] : {Case{1, 64, 256}, Case{2, 33, 512}, Case{23, 97, 768}, Case{16, 16, 256}, Case{70, 328, 1280}, Case{13, 40, 320}})
      for (const DType a_type : {DType::kBF16, DType::kF32}) {
        if (!quant::has_panels(type, k)) continue;
        const Owned a = random_matrix(a_type, m, k, 1), rows = random_matrix(type, n, k, 2), panels = in_panels(rows), low = random_matrix(a_type, m, 9, 3), high = random_matrix(DType::kF32, n, 9, 4);
        for (const Isa isa : available_isas()) {
          if (isa == Isa::kScalar && m * n > 4000) continue;
          SCOPED_TRACE(fmt::format("{} {} {} ({}, {}, {})", name(isa), name(a_type), name(type), m, n, k));
          for (const Precision precision : {Precision::kRows, Precision::kBF16, Precision::kF32}) {
            Gemm g;
            g.m = m;
            g.n = n;
            g.count = 2;
            g.products[0] = {of(a), false, of(panels), true, 1};
            g.products[1] = {of(low), false, of(high), true, 2};
            g.precision = precision;
            const std::vector<float> found = run(kernels(isa), g);
            if (precision == Precision::kRows) {
              Gemm alone = g;
              alone.m = 1;
              for (Product* p : {&alone.products[0], &alone.products[1]}) p->a.rows = 1;
              EXPECT_EQ(run(kernels(isa), alone), std::vector<float>(found.begin(), found.begin() + n));
            }
            g.products[0].b = of(rows);
            if (precision == Precision::kRows && isa != Isa::kScalar && !kernels(isa).has_int8) g.precision = Precision::kF32;  // panels meet f32 there
            expect_close(found, run(kernels(isa), g), 3e-6f);
          }
          std::vector<float> values(static_cast<size_t>(n * k)), expected(values.size());
          kernels(isa).decode(of(panels), values.data(), DType::kF32, pool());
          kernels(isa).decode(of(rows), expected.data(), DType::kF32, pool());
          expect_close(values, expected, 1e-6f);
        }
      }
}

// However many rows there are, each gives what it gives alone; some hold outliers.
TEST(Gemm, RowsOfGenerationInAnyNumber) {
  for (const Isa isa : fast_isas())
    for (const DType type : {DType::kQ4_1, DType::kQ8_0, DType::kQ4_K, DType::kQ6_K, DType::kBF16, DType::kF32})
      for (const bool panels : {false, true}) {
        constexpr int64_t kMost = 17, n = 40, k = 512;
        if (panels && !quant::has_panels(type, k)) continue;
        Owned a = random_matrix(DType::kBF16, kMost, k, 1);
        const BF16 high = to_bf16(300);
        for (int64_t r = 0; r < kMost; r += 3) std::memcpy(a.bytes.data() + 2 * (r * k + 37 * (r + 1) % k), &high, 2);
        const Owned rows = random_matrix(type, n, k, 2), b = panels ? in_panels(rows) : rows;
        const auto product = [&](int64_t first, int64_t m) {
          Gemm g;
          g.m = m;
          g.n = n;
          g.products[0] = {of(a), false, of(b), true, 1};
          g.products[0].a.data = a.bytes.data() + 2 * first * k;
          g.products[0].a.rows = m;
          g.precision = Precision::kRows;
          return run(kernels(isa), g);
        };
        std::vector<float> alone;
        for (int64_t m = 1; m <= kMost; ++m) {
          SCOPED_TRACE(fmt::format("{} {}{}, {} rows", name(isa), name(type), panels ? " in panels" : "", m));
          const std::vector<float> last = product(m - 1, 1);
          alone.insert(alone.end(), last.begin(), last.end());
          EXPECT_EQ(product(0, m), alone);
        }
      }
}

// A value far above the others of its row costs its neighbours no precision: its block keeps sixteen bits. In eight, the error would be ten times the bound.
TEST(Gemm, RowsOfGenerationKeepWhatIsBesideAnOutlier) {
  for (const Isa isa : fast_isas())
    for (const int64_t m : {1, 2, 4, 8, 19}) {
      SCOPED_TRACE(fmt::format("{} {} rows", name(isa), m));
      Owned a = random_matrix(DType::kBF16, m, 512, 1);
      const BF16 high = to_bf16(300);
      for (int64_t r = 0; r < m; ++r) std::memcpy(a.bytes.data() + 2 * (r * 512 + 37 * (r + 1) % 512), &high, 2);
      const Owned b = random_matrix(DType::kQ4_1, 64, 512, 2);
      Gemm g;
      g.m = m;
      g.n = 64;
      g.products[0] = {of(a), false, of(b), true, 1};
      g.precision = Precision::kRows;
      const std::vector<float> found = run(kernels(isa), g);
      g.precision = Precision::kF32;
      const std::vector<float> exact = run(kernels(isa), g);
      double error = 0, size = 0;
      for (size_t i = 0; i < found.size(); ++i) error += std::pow(found[i] - exact[i], 2), size += std::pow(exact[i], 2);
      EXPECT_LT(std::sqrt(error / size), 1.5e-3);
    }
}

// A diverged model must not answer as if nothing had happened, nor spoil what is beside it.
TEST(Gemm, RowsOfGenerationShowWhatIsNotFinite) {
  for (const Isa isa : fast_isas())
    for (const DType type : {DType::kQ4_1, DType::kQ6_K, DType::kBF16})
      for (const float broken : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        SCOPED_TRACE(fmt::format("{} {} {}", name(isa), name(type), broken));
        Owned a = random_matrix(DType::kBF16, 3, 256, 1);
        const BF16 value = to_bf16(broken);
        std::memcpy(a.bytes.data() + 2 * (256 + 77), &value, 2);  // of the second row, with finite ones after it
        const Owned b = random_matrix(type, 20, 256, 2);
        Gemm g;
        g.m = 3;
        g.n = 20;
        g.products[0] = {of(a), false, of(b), true, 1};
        g.precision = Precision::kRows;
        const std::vector<float> c = run(kernels(isa), g);
        for (int64_t j = 0; j < 20; ++j) {
          EXPECT_FALSE(std::isfinite(c[static_cast<size_t>(20 + j)]));
          EXPECT_TRUE(std::isfinite(c[static_cast<size_t>(j)]) && std::isfinite(c[static_cast<size_t>(40 + j)]));
        }
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

}  // namespace
}  // namespace hone::kernels
