// Every raw-pointer computation, as one table of functions per instruction set. Kernels know no tensors: they take
// pointers, sizes and element types, so each can be tested, fuzzed and timed alone.
//
// Letters: M,N,K matrix sizes · T token rows · C width · H query heads · G key/value heads · D head size (Dv for values)
// · V vocabulary. Matrices are row-major. "Activation type" is F32 or BF16. Sums run in f32 (or wider) in an order that
// does not depend on the number of threads.
#pragma once

#include <cstdint>
#include <limits>

#include "base/cpu_features.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "quant/dtype.h"
#include "quant/nf4.h"
#include "quant/panels.h"

namespace hone::kernels {

/// A row-major matrix in any storage type: F32, F16, BF16, a GGUF block type or NF4.
struct Matrix {
  const void* data = nullptr;
  DType type = DType::kF32;
  int64_t rows = 0, cols = 0;
  int64_t row_stride = 0;  // bytes from one row to the next; 0 means dense. NF4 must be dense.
  const quant::Nf4State* nf4 = nullptr;
  const float* row_scale = nullptr;  // I8: (rows)
  bool panels = false;  // its rows lie in panels (quant/panels.h); row_stride is 0

  /// The panel that holds row r. Always inlined, as panel_bytes is.
  [[gnu::always_inline]] const unsigned char* panel_of(int64_t r) const { return static_cast<const unsigned char*>(data) + r / quant::kPanelRows * quant::panel_bytes(type, cols); }
};

/// One product alpha · op(A) · op(B), op(A) is (M,K), op(B) is (K,N). A is F32 or BF16; B may be quantised.
struct Product {
  Matrix a;
  bool a_transposed = false;  // stored (K,M)
  Matrix b;
  bool b_transposed = false;  // stored (N,K), as weights are
  float alpha = 1;
};

/// Precision of the multiplications; accumulation is always f32 (within a block of int8: exact, in i32).
/// kInt8 concerns products whose B is I8 and whose A is not transposed; the others multiply as kBF16 does. A (times the scales
/// of B's rows, when those lie along the sum) is quantised on the fly, one scale per row and block of kInt8Block elements of
/// the sum: q = round(a · 127 / max|a|), ties to even. Instruction sets without int8 products (has_int8) multiply as kBF16 does.
/// kRows is for answering: every row of A is multiplied on its own, so its result does not depend on how many rows
/// there are, a few of them at the speed of memory. Where A is BF16 and B holds GGUF blocks or I8, A is quantised by blocks of kRowsBlock as
/// above; blocks whose largest magnitude is above kRowsOutlier times the root mean square of their row to sixteen bits (kRowsLevels
/// in place of 127), since the error of a block grows with its largest value. Everything else is multiplied in f32. Products with a
/// transposed A or a B that is not multiply as kBF16 does.
enum class Precision : uint8_t { kF32, kBF16, kInt8, kRows };
inline constexpr int64_t kRowsBlock = 32, kRowsLevels = 256 * 127;
inline constexpr float kRowsOutlier = 4;
inline constexpr int64_t kInt8Block = 128;
inline constexpr int kMaxProducts = 8;

/// C = addend + Σ products + bias, rounded once to C's type.
/// Further products (their K may differ) are how LoRA's thin product shares the pass, y = x·Wᵀ + (s·x·Aᵀ)·Bᵀ, and how the
/// gradient of an input that several layers read is one sum. An I8 product with B transposed, if any, comes first.
struct Gemm {
  int64_t m = 0, n = 0;
  Product products[kMaxProducts];
  int count = 1;              // products used
  void* c = nullptr;
  DType c_type = DType::kF32;  // F32 or BF16
  int64_t ldc = 0;            // elements between rows of C
  bool accumulate = false;
  const void* addend = nullptr;  // (M, N) of C's type and stride, added to the result; C itself when accumulating
  const float* bias = nullptr;  // (N) or null
  Precision precision = Precision::kBF16;
};

/// Heads, sizes and packing of one attention call. Rows of q are (H,D), of k (G,D), of v (G,Dv), of out (H,Dv), each row
/// contiguous, rows `*_stride` elements apart. Segment s holds query rows [q_begin[s], q_begin[s+1]) and key rows
/// [k_begin[s], k_begin[s+1]); it attends only within itself. Causal: the last query of a segment sees its last key
/// (bottom-right aligned), so cached decoding uses the same call.
struct AttentionShape {
  int64_t segments = 0;
  const int32_t* q_begin = nullptr;  // (segments + 1)
  const int32_t* k_begin = nullptr;  // (segments + 1)
  int64_t heads = 0, kv_heads = 0, head_dim = 0, value_dim = 0;
  int64_t q_stride = 0, k_stride = 0, v_stride = 0, out_stride = 0;
  float scale = 1;
  bool causal = true;
  DType type = DType::kF32;  // of q, k, v, out and their gradients
};

inline constexpr int64_t kPageTokens = 32, kCacheBlock = 32;

/// A page holds kPageTokens tokens of one layer: keys (G, D, kPageTokens), then values (G, kPageTokens, Dv), in the activation type or
/// as I8. BF16 lies in pairs, as its products are made: keys (G, ⌈D/2⌉, kPageTokens, 2), values (G, kPageTokens/2, Dv, 2). Then come F32 scales of blocks of kCacheBlock elements of one token and head: of keys (G, ⌈D/32⌉, kPageTokens), of values
/// (G, kPageTokens, ⌈Dv/32⌉). Offsets in bytes.
struct CachePage {
  int64_t values = 0, key_scales = 0, value_scales = 0, bytes = 0;

  constexpr CachePage(int64_t kv_heads, int64_t key_dim, int64_t value_dim, DType type) {
    const int64_t size = type == DType::kI8 ? 1 : type == DType::kF32 ? 4 : 2, tokens = kv_heads * kPageTokens;
    values = kv_heads * key_elements(type, key_dim) * size;
    key_scales = values + tokens * value_dim * size;
    value_scales = key_scales + (type == DType::kI8 ? tokens * blocks(key_dim) * 4 : 0);
    bytes = value_scales + (type == DType::kI8 ? tokens * blocks(value_dim) * 4 : 0);
  }
  /// Of one head: elements of its keys, and where element d of token t's key lies among them, element c of its value among its values.
  static constexpr int64_t key_elements(DType type, int64_t dim) { return (type == DType::kBF16 ? (dim + 1) / 2 * 2 : dim) * kPageTokens; }
  static constexpr int64_t key_at(DType type, int64_t d, int64_t t) { return type == DType::kBF16 ? (d / 2 * kPageTokens + t) * 2 + d % 2 : d * kPageTokens + t; }
  static constexpr int64_t value_at(DType type, int64_t dim, int64_t t, int64_t c) { return type == DType::kBF16 ? (t / 2 * dim + c) * 2 + t % 2 : t * dim + c; }
  static constexpr int64_t blocks(int64_t dim) { return (dim + kCacheBlock - 1) / kCacheBlock; }
};

/// One query row per sequence of generation, over its cached keys and values. Row r sees the first tokens[r] ≥ 1 keys of pages
/// [page_begin[r], page_begin[r+1]). A row's result does not depend on the others.
struct CachedAttention {
  int64_t rows = 0, heads = 0, kv_heads = 0, head_dim = 0, value_dim = 0;
  int64_t q_stride = 0, out_stride = 0;  // elements
  float scale = 1;
  DType type = DType::kF32;   // of q and out
  DType cache = DType::kF32;  // of the pages: `type`, or I8
  const int32_t* tokens = nullptr;
  const int32_t* page_begin = nullptr;
  const void* const* pages = nullptr;
};

/// What is known of one row of logits while they come in stripes (softmax_stripe).
struct SoftmaxRow {
  float top = -std::numeric_limits<float>::infinity();  // the highest so far
  int32_t best = 0;                                     // its (first) column
  float label = 0;                                      // the label's logit, once its stripe came
  double others = 0;                                    // Σ exp(z − top) so far of all columns but the label's
};

struct KernelTable {
  Isa isa;
  bool has_int8;  // Precision::kInt8 multiplies bytes, and weights in panels are faster in generation (any table reads them)

  /// See Gemm. Several calls of one height and precision (those in rows may be among others) whose results
  /// do not depend on each other go as one: an A that they share as their first product is packed once. count ≤ kMaxProducts.
  void (*gemm)(const Gemm* calls, int count, ThreadPool&);

  /// out (count, C) = rows ids[i] of `table` (any storage type), converted to the activation type.
  void (*gather_rows)(const Matrix& table, const int32_t* ids, int64_t count, void* out, DType out_type, ThreadPool&);
  /// grad (V, C) f32 row ids[i] += dy row i, in ascending i (deterministic).
  void (*scatter_add_rows)(float* grad, int64_t cols, const int32_t* ids, int64_t count, const void* dy, DType, ThreadPool&);

  /// y = x / sqrt(mean(x²) + eps) · weight; rstd (T) kept for backward.
  void (*rms_norm)(int64_t rows, int64_t cols, const void* x, DType, const float* weight, float eps, void* y, float* rstd,
                   ThreadPool&);
  /// dx (accumulated into when `accumulate`), and dweight (C) f32 += when not null.
  void (*rms_norm_backward)(int64_t rows, int64_t cols, const void* x, const void* dy, DType, const float* weight,
                            const float* rstd, void* dx, bool accumulate, float* dweight, ThreadPool&);

  /// Rotates the first rot_dim of each head. cos/sin are (positions, rot_dim/2) f32, row positions[t]. `interleaved` pairs
  /// (2i, 2i+1), otherwise (i, i + rot_dim/2). sign −1 rotates back (the backward pass). x and y may be the same.
  void (*rope)(int64_t rows, int64_t heads, int64_t head_dim, int64_t rot_dim, const void* x, int64_t x_stride, void* y,
               int64_t y_stride, DType, const int32_t* positions, const float* cos, const float* sin, bool interleaved,
               float sign, ThreadPool&);

  /// y = silu(gate) · up over n elements.
  void (*swiglu)(int64_t n, const void* gate, const void* up, void* y, DType, ThreadPool&);
  /// dup may be dy.
  void (*swiglu_backward)(int64_t n, const void* gate, const void* up, const void* dy, void* dgate, void* dup, DType,
                          ThreadPool&);

  /// y = alpha · x + beta · y over n elements of mixed F32/BF16 types (conversion is alpha 1, beta 0). beta 0 ignores y.
  void (*axpby)(int64_t n, float alpha, const void* x, DType x_type, float beta, void* y, DType y_type, ThreadPool&);
  /// y = keep(i) ? x / (1 − p) : 0, keep(i) = rng.uniform(first + i) ≥ p. The same call on dy is the backward pass.
  void (*dropout)(int64_t n, const void* x, void* y, DType, float p, const Rng& rng, uint64_t first, ThreadPool&);

  /// out = softmax(scale · q·kᵀ + mask)·v; lse (rows of q, H) = log-sum-exp of each query's scaled scores, f32.
  void (*attention)(const AttentionShape&, const void* q, const void* k, const void* v, void* out, float* lse, ThreadPool&);
  /// Overwrites dq, dk, dv (strides as q, k, v). No T×T buffer.
  void (*attention_backward)(const AttentionShape&, const void* q, const void* k, const void* v, const void* out,
                             const float* lse, const void* dout, void* dq, void* dk, void* dv, ThreadPool&);

  /// out (rows, H, Dv) = softmax(scale · q·kᵀ)·v; see CachedAttention.
  void (*cached_attention)(const CachedAttention&, const void* q, void* out, ThreadPool&);

  /// In place on logits (T,V), F32 or BF16: loss[t] = −log softmax(logits)[labels[t]]; logits become scale · (softmax − onehot).
  /// correct[t] (may be null) tells whether the label was the (first) arg max. Labels must lie in [0, V).
  void (*cross_entropy)(int64_t rows, int64_t vocab, void* logits, DType type, const int32_t* labels, float scale, float* loss,
                        uint8_t* correct, ThreadPool&);

  /// Columns [first, first + width) of logits whose softmax is made stripe by stripe, `z` (rows, width) F32: becomes exp(z − top), and 0 at
  /// the label, as `type` (F32 or BF16) at the beginning of each row, and `state` (rows) takes it in. Where the row's top rises, its row of
  /// `sums` (rows, C) F32, made of earlier stripes, is scaled to the new one; null: only the state is wanted.
  void (*softmax_stripe)(int64_t rows, int64_t first, int64_t width, float* z, DType type, const int32_t* labels, SoftmaxRow* state, float* sums,
                         int64_t cols, ThreadPool&);

  /// One AdamW update of n parameters (Loshchilov & Hutter 2019): g ← g · grad_scale; p ← p − lr · (m̂/(√v̂ + eps) + wd · p).
  /// correction1 = 1 − β1^t, correction2 = 1 − β2^t.
  void (*adamw)(int64_t n, float* p, const float* g, float* m, float* v, float lr, float beta1, float beta2, float eps,
                float weight_decay, float grad_scale, float correction1, float correction2, ThreadPool&);
  /// Σ x² in f64 over fixed blocks; non-finite input gives a non-finite result.
  double (*sum_squares)(int64_t n, const float* x, ThreadPool&);

  /// Decodes the whole matrix to F32 or BF16 (export, tests).
  void (*decode)(const Matrix& x, void* out, DType out_type, ThreadPool&);
};

/// The table of the selected instruction set (base/cpu_features.h), chosen once.
const KernelTable& kernels();
/// The table of one level; throws Error{kUnsupported} when this processor or build lacks it. For tests and benchmarks.
const KernelTable& kernels(Isa isa);

}  // namespace hone::kernels
