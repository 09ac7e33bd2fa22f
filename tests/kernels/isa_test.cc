// Every other kernel of every instruction set this machine has, against the scalar reference.
#include "kernels/random_matrix.h"

namespace hone::kernels {
namespace {

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

// Generation over pages: rows of different lengths, shared pages, heads that share keys, every width.
TEST(Attention, Cached) {
  struct Shape { int64_t heads, kv_heads, head_dim, value_dim; };
  for (const Isa isa : fast_isas())
    for (const DType type : {DType::kF32, DType::kBF16})
      for (const bool bytes : {false, true})
        for (const Shape& s : {Shape{9, 3, 64, 64}, {4, 4, 40, 20}, {5, 1, 16, 128}, {12, 2, 192, 100}, {1, 1, 7, 5}}) {
          SCOPED_TRACE(fmt::format("{} {} {} heads of {} and {}{}", name(isa), name(type), s.heads, s.head_dim, s.value_dim, bytes ? ", bytes" : ""));
          const DType cache = bytes ? DType::kI8 : type;
          const CachePage layout(s.kv_heads, s.head_dim, s.value_dim, cache);
          std::vector<std::vector<unsigned char>> pages;
          for (uint32_t p = 0; p < 5; ++p) {
            const int64_t elements = layout.key_scales / (bytes ? 1 : type == DType::kF32 ? 4 : 2);
            std::vector<unsigned char> page = random_matrix(type, 1, elements, 10 + p).bytes;
            page.resize(static_cast<size_t>(layout.bytes) + 64);
            if (bytes)
              for (int64_t i = 0; i < elements; ++i) page[static_cast<size_t>(i)] = static_cast<unsigned char>(Rng{7, 10 + p, 0}.bits(static_cast<uint64_t>(i)));
            for (int64_t at = layout.key_scales; at < layout.bytes; at += 4) {
              const float scale = 0.005f + 0.001f * static_cast<float>(at / 4 % 11);
              std::memcpy(page.data() + at, &scale, 4);
            }
            pages.push_back(std::move(page));
          }
          const std::vector<const void*> used{pages[0].data(), pages[1].data(), pages[2].data(), pages[0].data(), pages[3].data(), pages[4].data()};
          const std::vector<int32_t> tokens{70, 1, 64}, begin{0, 3, 4, 6};
          const Owned q = random_matrix(type, 3, s.heads * s.head_dim, 1);
          CachedAttention a{3, s.heads, s.kv_heads, s.head_dim, s.value_dim, s.heads * s.head_dim, s.heads * s.value_dim, 0.2f, type, cache, tokens.data(), begin.data(), used.data()};
          const auto compute = [&](Isa which) {
            const Owned out = random_matrix(type, 3, s.heads * s.value_dim, 2);
            std::vector<float> x(static_cast<size_t>(3 * s.heads * s.value_dim));
            kernels(which).cached_attention(a, q.bytes.data(), const_cast<unsigned char*>(out.bytes.data()), pool());
            kernels(Isa::kScalar).decode(of(out), x.data(), DType::kF32, pool());
            return x;
          };
          expect_close(compute(isa), compute(Isa::kScalar), type == DType::kF32 ? 2e-5f : 2e-2f);
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
      k.cross_entropy(9, cols, out.data(), DType::kF32, labels.data(), 0.5f, out.data() + n, correct.data(), pool());
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

// A softmax whose columns come in stripes of odd widths: weights, what is known of each row, and sums that are rescaled.
TEST(Elementwise, SoftmaxStripes) {
  for (const Isa isa : fast_isas())
    for (const DType type : {DType::kF32, DType::kBF16}) {
      SCOPED_TRACE(fmt::format("{} {}", name(isa), name(type)));
      const std::vector<int32_t> labels = {0, 5, 40, 77, 130};
      const auto compute = [&](const KernelTable& k) {
        std::vector<SoftmaxRow> state(5);
        std::vector<float> sums(5 * 19, 1.0f), out;
        for (const auto& [first, width] : {std::pair<int64_t, int64_t>{0, 1}, {1, 47}, {48, 16}, {64, 67}}) {
          const Owned random = random_matrix(DType::kF32, 5, width, 20 + static_cast<uint32_t>(first));
          std::vector<float> z(static_cast<size_t>(5 * width));
          for (size_t i = 0; i < z.size(); ++i) z[i] = 4 * reinterpret_cast<const float*>(random.bytes.data())[i];
          k.softmax_stripe(5, first, width, z.data(), type, labels.data(), state.data(), sums.data(), 19, pool());
          for (int64_t r = 0; r < 5; ++r)
            for (int64_t c = 0; c < width; ++c)
              out.push_back(type == DType::kF32 ? z[static_cast<size_t>(r * width + c)] : to_float(reinterpret_cast<const BF16*>(z.data() + r * width)[c]));
        }
        out.insert(out.end(), sums.begin(), sums.end());
        for (const SoftmaxRow& s : state)
          for (const float x : {s.top, static_cast<float>(s.best) * 0.1f, s.label, static_cast<float>(s.others)}) out.push_back(x);
        return out;
      };
      expect_close(compute(kernels(isa)), compute(kernels(Isa::kScalar)), type == DType::kF32 ? 1e-6f : 4e-3f / 12);
    }
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
        k.cross_entropy(9, vocab, z.data(), DType::kBF16, labels.data(), 0.5f, out.data(), correct.data(), pool());
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
