// The reference kernels: plain loops, one formula each. Every other instruction set is tested against these.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.h"
#include "kernels/table.h"
#include "quant/bf16.h"
#include "quant/codec.h"

namespace hone::kernels {
namespace {

constexpr int64_t kRowsPerTask = 8;
constexpr int64_t kElementsPerTask = 1 << 14;

size_t at(int64_t i) { return static_cast<size_t>(i); }

float load(const void* p, DType type, int64_t i) {
  return type == DType::kF32 ? static_cast<const float*>(p)[i] : to_float(static_cast<const BF16*>(p)[i]);
}

void store(void* p, DType type, int64_t i, float value) {
  if (type == DType::kF32) static_cast<float*>(p)[i] = value;
  else static_cast<BF16*>(p)[i] = to_bf16(value);
}

// Row r of any matrix as F32.
void read_row(const Matrix& m, int64_t r, float* out) {
  if (m.type == DType::kNF4) {
    quant::nf4_dequantize(static_cast<const uint8_t*>(m.data), *m.nf4, r * m.cols, (r + 1) * m.cols, out);
    return;
  }
  if (m.panels) {
    quant::decode_panel_row(m.type, m.panel_of(r), r % quant::kPanelRows, 0, m.cols, out);
    return;
  }
  const int64_t stride = m.row_stride ? m.row_stride : row_bytes(m.type, m.cols);
  if (m.type == DType::kI8) {
    const auto* q = static_cast<const int8_t*>(m.data) + r * stride;
    for (int64_t c = 0; c < m.cols; ++c) out[c] = static_cast<float>(q[c]) * m.row_scale[r];
    return;
  }
  quant::decode_row(m.type, static_cast<const std::byte*>(m.data) + r * stride, m.cols, out);
}

std::vector<float> read_all(const Matrix& m) {
  std::vector<float> values(at(m.rows * m.cols));
  for (int64_t r = 0; r < m.rows; ++r) read_row(m, r, values.data() + r * m.cols);
  return values;
}

// The values that products of bytes use in place of A (m, k), in place: see Precision. `by` (k) scales A first, or is null. Blocks with a
// magnitude above `outlier` times their row's root mean square get kRowsLevels.
void round_to_blocks(std::vector<float>& a, int64_t m, int64_t k, int64_t size, const float* by, float outlier) {
  for (int64_t i = 0; i < m; ++i) {
    double squares = 0;
    for (int64_t l = 0; l < k; ++l) squares += static_cast<double>(a[at(i * k + l)]) * a[at(i * k + l)];
    const auto bound = static_cast<float>(outlier * std::sqrt(squares / static_cast<double>(k)));
    for (int64_t begin = 0; begin < k; begin += size) {
      float* block = a.data() + i * k + begin;
      const int64_t n = std::min(size, k - begin);
      float top = 0;
      for (int64_t l = 0; l < n; ++l) {
        if (by) block[l] *= by[begin + l];
        if (!(std::abs(block[l]) <= top)) top = std::abs(block[l]);
      }
      const float levels = top <= bound ? 127 : kRowsLevels, inverse = top > 1e-35f ? levels / top : 0;
      for (int64_t l = 0; l < n; ++l) block[l] = std::nearbyint(block[l] * inverse) * (top / levels);
    }
  }
}

// C = (C) + Σ alpha · op(A)·op(B) + bias
void one_gemm(const Gemm& g, ThreadPool& pool) {
  struct Operands {
    std::vector<float> a, b;
    int64_t k;
  };
  std::vector<Operands> operands;
  for (int i = 0; i < g.count; ++i) {
    const Product& p = g.products[i];
    Operands o{read_all(p.a), read_all(p.b), p.a_transposed ? p.a.rows : p.a.cols};
    HONE_CHECK((p.a_transposed ? p.a.cols : p.a.rows) == g.m && (p.b_transposed ? p.b.rows : p.b.cols) == g.n &&
                   (p.b_transposed ? p.b.cols : p.b.rows) == o.k,
               "gemm ({}, {}): A ({}, {}), B ({}, {})", g.m, g.n, p.a.rows, p.a.cols, p.b.rows, p.b.cols);
    if (g.precision == Precision::kInt8 && p.b.type == DType::kI8 && !p.a_transposed) {
      round_to_blocks(o.a, g.m, o.k, kInt8Block, p.b_transposed ? nullptr : p.b.row_scale, std::numeric_limits<float>::infinity());
      if (!p.b_transposed)  // the scales are in A now
        for (int64_t r = 0; r < p.b.rows; ++r)
          for (int64_t c = 0; c < p.b.cols; ++c) o.b[at(r * p.b.cols + c)] = static_cast<const int8_t*>(p.b.data)[r * (p.b.row_stride ? p.b.row_stride : p.b.cols) + c];
    } else if (g.precision == Precision::kRows && p.b_transposed && !p.a_transposed) {
      const bool blocks = p.b.type == DType::kI8 || (traits(p.b.type).block_elements > 1 && p.b.type != DType::kNF4);
      if (p.a.type == DType::kBF16 && blocks) round_to_blocks(o.a, g.m, o.k, kRowsBlock, nullptr, kRowsOutlier);
    } else if (g.precision != Precision::kF32)
      for (auto* v : {&o.a, &o.b})
        for (float& x : *v) x = to_float(to_bf16(x));
    operands.push_back(std::move(o));
  }
  const void* addend = g.accumulate ? g.c : g.addend;
  pool.ranges(g.m, kRowsPerTask, [&](int64_t begin, int64_t end) {
    std::vector<float> row(at(g.n));
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t j = 0; j < g.n; ++j)
        row[at(j)] = (addend ? load(addend, g.c_type, i * g.ldc + j) : 0) + (g.bias ? g.bias[j] : 0);
      for (int n = 0; n < g.count; ++n) {
        const Product& p = g.products[n];
        const Operands& o = operands[static_cast<size_t>(n)];
        if (p.b_transposed) {
          for (int64_t j = 0; j < g.n; ++j) {
            float sum = 0;
            for (int64_t l = 0; l < o.k; ++l) sum += o.a[at(p.a_transposed ? l * g.m + i : i * o.k + l)] * o.b[at(j * o.k + l)];
            row[at(j)] += p.alpha * sum;
          }
        } else {
          for (int64_t l = 0; l < o.k; ++l) {
            const float a = p.alpha * o.a[at(p.a_transposed ? l * g.m + i : i * o.k + l)];
            for (int64_t j = 0; j < g.n; ++j) row[at(j)] += a * o.b[at(l * g.n + j)];
          }
        }
      }
      for (int64_t j = 0; j < g.n; ++j) store(g.c, g.c_type, i * g.ldc + j, row[at(j)]);
    }
  });
}

void gemm(const Gemm* calls, int count, ThreadPool& pool) {
  for (int i = 0; i < count; ++i) one_gemm(calls[i], pool);
}

void gather_rows(const Matrix& table, const int32_t* ids, int64_t count, void* out, DType type, ThreadPool& pool) {
  pool.ranges(count, kRowsPerTask, [&](int64_t begin, int64_t end) {
    std::vector<float> row(at(table.cols));
    for (int64_t i = begin; i < end; ++i) {
      read_row(table, ids[i], row.data());
      for (int64_t c = 0; c < table.cols; ++c) store(out, type, i * table.cols + c, row[at(c)]);
    }
  });
}

void scatter_add_rows(float* grad, int64_t cols, const int32_t* ids, int64_t count, const void* dy, DType type, ThreadPool&) {
  for (int64_t i = 0; i < count; ++i)
    for (int64_t c = 0; c < cols; ++c) grad[ids[i] * cols + c] += load(dy, type, i * cols + c);
}

// y = x · rstd · w, rstd = 1 / √(mean(x²) + eps)
void rms_norm(int64_t rows, int64_t cols, const void* x, DType type, const float* weight, float eps, void* y, float* rstd,
              ThreadPool& pool) {
  pool.ranges(rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float squares = 0;
      for (int64_t c = 0; c < cols; ++c) squares += load(x, type, r * cols + c) * load(x, type, r * cols + c);
      rstd[r] = 1 / std::sqrt(squares / static_cast<float>(cols) + eps);
      for (int64_t c = 0; c < cols; ++c) store(y, type, r * cols + c, load(x, type, r * cols + c) * rstd[r] * weight[c]);
    }
  });
}

// dx = rstd · (g − x̂ · mean(g · x̂)), g = dy · w, x̂ = x · rstd;  dw += Σ_rows dy · x̂
void rms_norm_backward(int64_t rows, int64_t cols, const void* x, const void* dy, DType type, const float* weight,
                       const float* rstd, void* dx, bool accumulate, float* dweight, ThreadPool& pool) {
  pool.ranges(rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float dot = 0;
      for (int64_t c = 0; c < cols; ++c)
        dot += load(dy, type, r * cols + c) * weight[c] * load(x, type, r * cols + c) * rstd[r];
      dot /= static_cast<float>(cols);
      for (int64_t c = 0; c < cols; ++c) {
        const int64_t i = r * cols + c;
        const float d = rstd[r] * (load(dy, type, i) * weight[c] - load(x, type, i) * rstd[r] * dot);
        store(dx, type, i, d + (accumulate ? load(dx, type, i) : 0));
      }
    }
  });
  if (!dweight) return;
  pool.ranges(cols, 16, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c)
      for (int64_t r = 0; r < rows; ++r) dweight[c] += load(dy, type, r * cols + c) * load(x, type, r * cols + c) * rstd[r];
  });
}

// (a, b) → (a·cos − b·sin, a·sin + b·cos)
void rope(int64_t rows, int64_t heads, int64_t head_dim, int64_t rot_dim, const void* x, int64_t x_stride, void* y,
          int64_t y_stride, DType type, const int32_t* positions, const float* cos, const float* sin, bool interleaved,
          float sign, ThreadPool& pool) {
  const int64_t half = rot_dim / 2;
  pool.ranges(rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t from = t * x_stride + h * head_dim, to = t * y_stride + h * head_dim;
        for (int64_t i = 0; i < half; ++i) {
          const int64_t first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + half;
          const float a = load(x, type, from + first), b = load(x, type, from + second);
          const float c = cos[positions[t] * half + i], s = sign * sin[positions[t] * half + i];
          store(y, type, to + first, a * c - b * s);
          store(y, type, to + second, a * s + b * c);
        }
        for (int64_t i = rot_dim; i < head_dim; ++i) store(y, type, to + i, load(x, type, from + i));
      }
  });
}

// y = gate · σ(gate) · up
void swiglu(int64_t n, const void* gate, const void* up, void* y, DType type, ThreadPool& pool) {
  pool.ranges(n, kElementsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float g = load(gate, type, i);
      store(y, type, i, g / (1 + std::exp(-g)) * load(up, type, i));
    }
  });
}

// dgate = dy · up · σ(g) · (1 + g · (1 − σ(g)));  dup = dy · g · σ(g)
void swiglu_backward(int64_t n, const void* gate, const void* up, const void* dy, void* dgate, void* dup, DType type,
                     ThreadPool& pool) {
  pool.ranges(n, kElementsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float g = load(gate, type, i), u = load(up, type, i), d = load(dy, type, i), s = 1 / (1 + std::exp(-g));
      store(dgate, type, i, d * u * s * (1 + g * (1 - s)));
      store(dup, type, i, d * g * s);
    }
  });
}

void axpby(int64_t n, float alpha, const void* x, DType x_type, float beta, void* y, DType y_type, ThreadPool& pool) {
  pool.ranges(n, kElementsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      store(y, y_type, i, alpha * load(x, x_type, i) + (beta == 0 ? 0 : beta * load(y, y_type, i)));
  });
}

void dropout(int64_t n, const void* x, void* y, DType type, float p, const Rng& rng, uint64_t first, ThreadPool& pool) {
  const float keep = 1 / (1 - p);
  pool.ranges(n, kElementsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      store(y, type, i, rng.uniform(first + static_cast<uint64_t>(i)) >= p ? load(x, type, i) * keep : 0);
  });
}

// The keys query row q of segment s may see: [k_begin[s], result).
int64_t key_end(const AttentionShape& a, int64_t s, int64_t q) {
  if (!a.causal) return a.k_begin[s + 1];
  return std::max<int64_t>(a.k_begin[s], a.k_begin[s + 1] - (a.q_begin[s + 1] - 1 - q));
}

float score(const AttentionShape& a, const void* q, const void* k, int64_t row, int64_t h, int64_t key) {
  const int64_t g = h / (a.heads / a.kv_heads);
  float dot = 0;
  for (int64_t d = 0; d < a.head_dim; ++d)
    dot += load(q, a.type, row * a.q_stride + h * a.head_dim + d) * load(k, a.type, key * a.k_stride + g * a.head_dim + d);
  return dot * a.scale;
}

// out = Σ_k softmax(scores)_k · v_k
void attention(const AttentionShape& a, const void* q, const void* k, const void* v, void* out, float* lse, ThreadPool& pool) {
  pool.run(a.segments * a.heads, [&](int64_t task, int) {
    const int64_t s = task / a.heads, h = task % a.heads, g = h / (a.heads / a.kv_heads);
    std::vector<float> p, sum(at(a.value_dim));
    for (int64_t row = a.q_begin[s]; row < a.q_begin[s + 1]; ++row) {
      const int64_t begin = a.k_begin[s], end = key_end(a, s, row);
      p.resize(at(end - begin));
      float top = -std::numeric_limits<float>::infinity(), total = 0;
      for (int64_t key = begin; key < end; ++key) top = std::max(top, p[at(key - begin)] = score(a, q, k, row, h, key));
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (int64_t key = begin; key < end; ++key) {
        const float weight = std::exp(p[at(key - begin)] - top);
        total += weight;
        for (int64_t d = 0; d < a.value_dim; ++d)
          sum[at(d)] += weight * load(v, a.type, key * a.v_stride + g * a.value_dim + d);
      }
      for (int64_t d = 0; d < a.value_dim; ++d)
        store(out, a.type, row * a.out_stride + h * a.value_dim + d, total > 0 ? sum[at(d)] / total : 0);
      lse[row * a.heads + h] = top + std::log(total);
    }
  });
}

// p = exp(s − lse); dv += p·dout; ds = p · (dout·v − dout·out); dq += scale·ds·k; dk += scale·ds·q
void attention_backward(const AttentionShape& a, const void* q, const void* k, const void* v, const void* out,
                        const float* lse, const void* dout, void* dq, void* dk, void* dv, ThreadPool& pool) {
  const int64_t share = a.heads / a.kv_heads;
  pool.run(a.segments * a.kv_heads, [&](int64_t task, int) {
    const int64_t s = task / a.kv_heads, g = task % a.kv_heads, k0 = a.k_begin[s], keys = a.k_begin[s + 1] - k0;
    std::vector<float> dkeys(at(keys * a.head_dim)), dvalues(at(keys * a.value_dim)), dquery(at(a.head_dim));
    for (int64_t h = g * share; h < (g + 1) * share; ++h)
      for (int64_t row = a.q_begin[s]; row < a.q_begin[s + 1]; ++row) {
        const int64_t q_at = row * a.q_stride + h * a.head_dim, o_at = row * a.out_stride + h * a.value_dim;
        float delta = 0;
        for (int64_t d = 0; d < a.value_dim; ++d) delta += load(dout, a.type, o_at + d) * load(out, a.type, o_at + d);
        std::fill(dquery.begin(), dquery.end(), 0.0f);
        for (int64_t key = k0, end = key_end(a, s, row); key < end; ++key) {
          const int64_t k_at = key * a.k_stride + g * a.head_dim, v_at = key * a.v_stride + g * a.value_dim;
          const float p = std::exp(score(a, q, k, row, h, key) - lse[row * a.heads + h]);
          float dp = 0;
          for (int64_t d = 0; d < a.value_dim; ++d) {
            dp += load(dout, a.type, o_at + d) * load(v, a.type, v_at + d);
            dvalues[at((key - k0) * a.value_dim + d)] += p * load(dout, a.type, o_at + d);
          }
          const float ds = a.scale * p * (dp - delta);
          for (int64_t d = 0; d < a.head_dim; ++d) {
            dquery[at(d)] += ds * load(k, a.type, k_at + d);
            dkeys[at((key - k0) * a.head_dim + d)] += ds * load(q, a.type, q_at + d);
          }
        }
        for (int64_t d = 0; d < a.head_dim; ++d) store(dq, a.type, q_at + d, dquery[at(d)]);
      }
    for (int64_t key = 0; key < keys; ++key) {
      for (int64_t d = 0; d < a.head_dim; ++d)
        store(dk, a.type, (k0 + key) * a.k_stride + g * a.head_dim + d, dkeys[at(key * a.head_dim + d)]);
      for (int64_t d = 0; d < a.value_dim; ++d)
        store(dv, a.type, (k0 + key) * a.v_stride + g * a.value_dim + d, dvalues[at(key * a.value_dim + d)]);
    }
  });
}

// loss = log Σ e^z − z[label]; dz = scale · (softmax − onehot)
void cached_attention(const CachedAttention& a, const void* q, void* out, ThreadPool& pool) {
  const int64_t share = a.heads / a.kv_heads;
  const CachePage layout(a.kv_heads, a.head_dim, a.value_dim, a.cache);
  pool.run(a.rows * a.heads, [&](int64_t task, int) {
    const int64_t row = task / a.heads, h = task % a.heads, g = h / share;
    const auto page = [&](int64_t t) { return static_cast<const unsigned char*>(a.pages[a.page_begin[row] + t / kPageTokens]); };
    const auto key = [&](int64_t t, int64_t d) {
      const int64_t i = g * CachePage::key_elements(a.cache, a.head_dim) + CachePage::key_at(a.cache, d, t % kPageTokens), block = g * CachePage::blocks(a.head_dim) + d / kCacheBlock;
      if (a.cache != DType::kI8) return load(page(t), a.cache, i);
      return static_cast<float>(reinterpret_cast<const int8_t*>(page(t))[i]) * load(page(t) + layout.key_scales, DType::kF32, block * kPageTokens + t % kPageTokens);
    };
    const auto value = [&](int64_t t, int64_t c) {
      const int64_t token = g * kPageTokens + t % kPageTokens, i = g * kPageTokens * a.value_dim + CachePage::value_at(a.cache, a.value_dim, t % kPageTokens, c);
      if (a.cache != DType::kI8) return load(page(t) + layout.values, a.cache, i);
      return static_cast<float>(reinterpret_cast<const int8_t*>(page(t) + layout.values)[i]) *
             load(page(t) + layout.value_scales, DType::kF32, token * CachePage::blocks(a.value_dim) + c / kCacheBlock);
    };
    std::vector<float> p(at(a.tokens[row]));
    float top = -std::numeric_limits<float>::infinity(), total = 0;
    for (int64_t t = 0; t < a.tokens[row]; ++t) {
      float sum = 0;
      for (int64_t d = 0; d < a.head_dim; ++d)
        sum += load(q, a.type, row * a.q_stride + h * a.head_dim + d) * key(t, d);
      top = std::max(top, p[at(t)] = a.scale * sum);
    }
    for (float& x : p) total += x = std::exp(x - top);
    for (int64_t c = 0; c < a.value_dim; ++c) {
      float sum = 0;
      for (int64_t t = 0; t < a.tokens[row]; ++t)
        sum += p[at(t)] * value(t, c);
      store(out, a.type, row * a.out_stride + h * a.value_dim + c, sum / total);
    }
  });
}

void cross_entropy(int64_t rows, int64_t vocab, void* logits, DType type, const int32_t* labels, float scale, float* loss,
                   uint8_t* correct, ThreadPool& pool) {
  pool.ranges(rows, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> z(at(vocab));
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t c = 0; c < vocab; ++c) z[at(c)] = load(logits, type, t * vocab + c);
      const auto top = std::max_element(z.begin(), z.end());
      const float highest = *top, label = z[at(labels[t])];
      if (correct) correct[t] = top - z.begin() == labels[t];
      double total = 0;
      for (int64_t c = 0; c < vocab; ++c) total += std::exp(z[at(c)] - highest);
      loss[t] = static_cast<float>(std::log(total)) + highest - label;
      const float factor = scale / static_cast<float>(total);
      for (int64_t c = 0; c < vocab; ++c) store(logits, type, t * vocab + c, factor * std::exp(z[at(c)] - highest) - (c == labels[t] ? scale : 0));
    }
  });
}

void softmax_stripe(int64_t rows, int64_t first, int64_t width, float* z, DType type, const int32_t* labels, SoftmaxRow* state, float* sums, int64_t cols,
                    ThreadPool& pool) {
  pool.ranges(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      SoftmaxRow& s = state[t];
      float* row = z + t * width;
      const float* top = std::max_element(row, row + width);
      const float before = s.top;
      if (*top > s.top) s.top = *top, s.best = static_cast<int32_t>(first + (top - row));
      if (labels[t] >= first && labels[t] < first + width) {
        s.label = row[labels[t] - first];
        row[labels[t] - first] = -std::numeric_limits<float>::infinity();
      }
      const float factor = std::exp(before - s.top);
      s.others *= factor;
      for (int64_t c = 0; sums && c < cols; ++c) sums[t * cols + c] *= factor;
      for (int64_t c = 0; c < width; ++c) {
        const float e = std::exp(row[c] - s.top);
        s.others += e;
        if (sums) store(row, type, c, e);
      }
    }
  });
}

void adamw(int64_t n, float* p, const float* g, float* m, float* v, float lr, float beta1, float beta2, float eps,
           float weight_decay, float grad_scale, float correction1, float correction2, ThreadPool& pool) {
  pool.ranges(n, kElementsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float grad = g[i] * grad_scale;
      m[i] = beta1 * m[i] + (1 - beta1) * grad;
      v[i] = beta2 * v[i] + (1 - beta2) * grad * grad;
      const float update = m[i] / correction1 / (std::sqrt(v[i] / correction2) + eps);
      p[i] -= lr * (update + weight_decay * p[i]);
    }
  });
}

double sum_squares(int64_t n, const float* x, ThreadPool& pool) {
  std::vector<double> partial(at((n + kElementsPerTask - 1) / kElementsPerTask));
  pool.ranges(n, kElementsPerTask, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) sum += double{x[i]} * double{x[i]};
    partial[at(begin / kElementsPerTask)] = sum;
  });
  double total = 0;
  for (double sum : partial) total += sum;
  return total;
}

void decode(const Matrix& x, void* out, DType type, ThreadPool& pool) {
  pool.ranges(x.rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    std::vector<float> row(at(x.cols));
    for (int64_t r = begin; r < end; ++r) {
      read_row(x, r, row.data());
      for (int64_t c = 0; c < x.cols; ++c) store(out, type, r * x.cols + c, row[at(c)]);
    }
  });
}

}  // namespace

const KernelTable& scalar_table() {
  static constexpr KernelTable table{
      Isa::kScalar, /*has_int8=*/true, gemm,      gather_rows, scatter_add_rows, rms_norm,  rms_norm_backward,  rope,
      swiglu,       swiglu_backward, axpby, dropout,          attention, attention_backward, cached_attention, cross_entropy,
      softmax_stripe, adamw,        sum_squares,     decode};
  return table;
}

}  // namespace hone::kernels
