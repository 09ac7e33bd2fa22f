#include "kernels/profile.h"

#include <fmt/format.h>

#include <string>

#include "base/profile.h"

namespace hone::kernels {
namespace {

struct Call {
  std::string label;
  profile::Cost cost;
};

const KernelTable* inner_table = nullptr;

// One wrapper per kernel: describe(arguments…) tells its label and cost. Trailing arguments that no description looks at may
// change without a change here.
template <auto Member, auto Describe>
struct Timed;
template <class R, class... Arguments, R (*KernelTable::*Member)(Arguments...), auto Describe>
struct Timed<Member, Describe> {
  static R call(Arguments... arguments) {
    Call call = Describe(arguments...);
    const profile::KernelTimer timer(std::move(call.label), call.cost);
    return (inner_table->*Member)(arguments...);
  }
};

double size_of(DType type) { return static_cast<double>(traits(type).block_bytes) / static_cast<double>(traits(type).block_elements); }
double times(int64_t a, int64_t b) { return static_cast<double>(a) * static_cast<double>(b); }
double bytes_of(const Matrix& m) { return times(m.rows, m.cols) * size_of(m.type); }

// "512×1536×576 BF16·Q4_1ᵀ +16": M, N, K and the depth of the second product.
Call describe_gemm(const Gemm& g) {
  Call call;
  const Product& first = g.products[0];
  call.label = fmt::format("gemm {}×{}×{} {}{}·{}{}", g.m, g.n, first.a_transposed ? first.a.rows : first.a.cols, name(first.a.type),
                           first.a_transposed ? "ᵀ" : "", name(first.b.type), first.b_transposed ? "ᵀ" : "");
  for (int i = 0; i < g.count; ++i) {
    const Product& p = g.products[i];
    const int64_t depth = p.a_transposed ? p.a.rows : p.a.cols;
    if (i > 0) call.label += fmt::format(" +{}", depth);
    call.cost.flops += 2 * times(g.m, g.n) * static_cast<double>(depth);
    call.cost.bytes += bytes_of(p.a) + bytes_of(p.b);
  }
  call.cost.bytes += times(g.m, g.n) * size_of(g.c_type) * (g.accumulate || g.addend ? 2 : 1);
  return call;
}

// A group is told by its first call and how many follow.
Call describe_gemms(const Gemm* calls, int count) {
  Call all = describe_gemm(calls[0]);
  if (count > 1) all.label += fmt::format(" and {} more", count - 1);
  for (int i = 1; i < count; ++i) {
    const Call next = describe_gemm(calls[i]);
    all.cost.flops += next.cost.flops;
    all.cost.bytes += next.cost.bytes;
  }
  return all;
}

// Query-key pairs of all segments: query i of n sees all but the last n − i − 1 keys of its segment.
double pairs(const AttentionShape& s) {
  double sum = 0;
  for (int64_t i = 0; i < s.segments; ++i) {
    const int64_t q = s.q_begin[i + 1] - s.q_begin[i], k = s.k_begin[i + 1] - s.k_begin[i];
    sum += s.causal ? times(q, k - q) + times(q, q + 1) / 2 : times(q, k);
  }
  return sum;
}

double bytes_of_rows(const AttentionShape& s) {  // q, k, v and out once
  const int64_t queries = s.q_begin[s.segments], keys = s.k_begin[s.segments];
  return size_of(s.type) * (times(queries, s.heads * (s.head_dim + s.value_dim)) + times(keys, s.kv_heads * (s.head_dim + s.value_dim)));
}

// Forward: scores and output. Backward: scores again, dv, dp, dq and dk.
Call describe_attention(const AttentionShape& s, bool backward) {
  const double work = 2 * pairs(s) * static_cast<double>(s.heads);
  const auto d = static_cast<double>(s.head_dim), dv = static_cast<double>(s.value_dim);
  return {fmt::format("attention{} {}×{} heads of {}", backward ? "_backward" : "", s.q_begin[s.segments], s.heads, s.head_dim),
          {work * (backward ? 3 * d + 2 * dv : d + dv), bytes_of_rows(s) * (backward ? 2 : 1)}};
}

Call pass(const char* label, double bytes) { return {label, {0, bytes}}; }

KernelTable make(const KernelTable& inner) {
  using K = KernelTable;
  inner_table = &inner;
  K t = inner;
  t.gemm = Timed<&K::gemm, [](const Gemm* calls, int count, auto&&...) { return describe_gemms(calls, count); }>::call;
  t.gather_rows = Timed<&K::gather_rows, [](const Matrix& m, const int32_t*, int64_t count, void*, DType type, auto&&...) {
    return pass("gather_rows", times(count, m.cols) * (size_of(m.type) + size_of(type)));
  }>::call;
  t.scatter_add_rows = Timed<&K::scatter_add_rows, [](float*, int64_t cols, const int32_t*, int64_t count, const void*, DType type, auto&&...) {
    return pass("scatter_add_rows", times(count, cols) * (8 + size_of(type)));
  }>::call;
  t.rms_norm = Timed<&K::rms_norm, [](int64_t rows, int64_t cols, const void*, DType type, auto&&...) {
    return pass("rms_norm", 2 * times(rows, cols) * size_of(type));
  }>::call;
  t.rms_norm_backward = Timed<&K::rms_norm_backward, [](int64_t rows, int64_t cols, const void*, const void*, DType type, auto&&...) {
    return pass("rms_norm_backward", 3 * times(rows, cols) * size_of(type));
  }>::call;
  t.rope = Timed<&K::rope, [](int64_t rows, int64_t heads, int64_t head_dim, int64_t, const void*, int64_t, void*, int64_t, DType type, auto&&...) {
    return pass("rope", 2 * times(rows, heads * head_dim) * size_of(type));
  }>::call;
  t.swiglu = Timed<&K::swiglu, [](int64_t n, const void*, const void*, void*, DType type, auto&&...) {
    return pass("swiglu", 3 * static_cast<double>(n) * size_of(type));
  }>::call;
  t.swiglu_backward = Timed<&K::swiglu_backward, [](int64_t n, const void*, const void*, const void*, void*, void*, DType type, auto&&...) {
    return pass("swiglu_backward", 5 * static_cast<double>(n) * size_of(type));
  }>::call;
  t.axpby = Timed<&K::axpby, [](int64_t n, float, const void*, DType from, float beta, void*, DType to, auto&&...) {
    return pass("axpby", static_cast<double>(n) * (size_of(from) + size_of(to) * (beta != 0 ? 2 : 1)));
  }>::call;
  t.dropout = Timed<&K::dropout, [](int64_t n, const void*, void*, DType type, auto&&...) {
    return pass("dropout", 2 * static_cast<double>(n) * size_of(type));
  }>::call;
  t.attention = Timed<&K::attention, [](const AttentionShape& s, auto&&...) { return describe_attention(s, false); }>::call;
  t.attention_backward = Timed<&K::attention_backward, [](const AttentionShape& s, auto&&...) { return describe_attention(s, true); }>::call;
  t.cached_attention = Timed<&K::cached_attention, [](const CachedAttention& a, auto&&...) {
    int64_t keys = 0;
    for (int64_t r = 0; r < a.rows; ++r) keys += a.tokens[r];
    const double work = 2 * times(keys, a.heads * (a.head_dim + a.value_dim));
    return Call{"cached_attention", {work, static_cast<double>(CachePage(a.kv_heads, a.head_dim, a.value_dim, a.cache).bytes) / kPageTokens * static_cast<double>(keys)}};
  }>::call;
  t.cross_entropy = Timed<&K::cross_entropy, [](int64_t rows, int64_t vocab, void*, DType type, auto&&...) {
    return pass("cross_entropy", 2 * times(rows, vocab) * size_of(type));
  }>::call;
  t.softmax_stripe = Timed<&K::softmax_stripe, [](int64_t rows, int64_t, int64_t width, float*, DType type, const int32_t*, SoftmaxRow*, float* sums, auto&&...) {
    return pass("softmax_stripe", times(rows, width) * (4 + (sums ? size_of(type) : 0)));
  }>::call;
  t.adamw = Timed<&K::adamw, [](int64_t n, auto&&...) { return pass("adamw", 28 * static_cast<double>(n)); }>::call;
  t.sum_squares = Timed<&K::sum_squares, [](int64_t n, auto&&...) { return pass("sum_squares", 4 * static_cast<double>(n)); }>::call;
  t.decode = Timed<&K::decode, [](const Matrix& m, void*, DType type, auto&&...) {
    return pass("decode", times(m.rows, m.cols) * (size_of(m.type) + size_of(type)));
  }>::call;
  return t;
}

}  // namespace

const KernelTable& profiled(const KernelTable& inner) {
  static const KernelTable table = make(inner);
  return table;
}

}  // namespace hone::kernels
