#include "ops/mixture.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "quant/bf16.h"

namespace hone::ops {
namespace {

constexpr int64_t kMixedRowsPerTask = 16;

void softmax(const float* z, int64_t n, float* p) {
  const float top = *std::max_element(z, z + n);
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += p[i] = std::exp(z[i] - top);
  for (int64_t i = 0; i < n; ++i) p[i] /= sum;
}

// Indices of the k largest of v[0..n), best first; the lower index wins ties.
void top_indices(const float* v, int64_t n, int64_t k, std::vector<int32_t>& out) {
  out.resize(static_cast<size_t>(n));
  std::iota(out.begin(), out.end(), 0);
  std::partial_sort(out.begin(), out.begin() + k, out.end(),
                    [v](int32_t a, int32_t b) { return v[a] > v[b] || (v[a] == v[b] && a < b); });
  out.resize(static_cast<size_t>(k));
}

// Leaves only the experts of the best groups choosable.
void limit_groups(std::vector<float>& choice, const Routing& r) {
  if (r.groups <= 1 || r.top_groups >= r.groups) return;
  const int64_t experts = static_cast<int64_t>(choice.size()), per_group = experts / r.groups;
  std::vector<float> rank(static_cast<size_t>(r.groups));
  for (int64_t g = 0; g < r.groups; ++g) {
    float best = -std::numeric_limits<float>::infinity(), second = best;
    for (int64_t e = g * per_group; e < (g + 1) * per_group; ++e) {
      const float c = choice[static_cast<size_t>(e)];
      if (c > best) {
        second = best;
        best = c;
      } else if (c > second) {
        second = c;
      }
    }
    rank[static_cast<size_t>(g)] = r.group_by_top2 && per_group > 1 ? best + second : best;
  }
  std::vector<int32_t> kept;
  top_indices(rank.data(), r.groups, r.top_groups, kept);
  std::vector<bool> keep(static_cast<size_t>(r.groups));
  for (int32_t g : kept) keep[static_cast<size_t>(g)] = true;
  for (int64_t e = 0; e < experts; ++e)
    if (!keep[static_cast<size_t>(e / per_group)]) choice[static_cast<size_t>(e)] = -std::numeric_limits<float>::infinity();
}

template <class T>
void dispatch_backward(const Tensor& dx, const Tensor& dy, const std::vector<int32_t>& slot, int64_t top_k) {
  const int64_t cols = dx.size(1);
  threads().ranges(dx.size(0), kMixedRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t c = 0; c < cols; ++c) {
        float sum = 0;
        for (int64_t j = 0; j < top_k; ++j) sum += to_float(dy.data<T>()[int64_t{slot[static_cast<size_t>(t * top_k + j)]} * cols + c]);
        dx.data_mutable<T>()[t * cols + c] = from_float<T>(sum);
      }
  });
}

template <class T>
void combine_forward(const Tensor& y, const Tensor& rows, const float* weights, const std::vector<int32_t>& slot, int64_t top_k) {
  const int64_t cols = y.size(1);
  threads().ranges(y.size(0), kMixedRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t c = 0; c < cols; ++c) {
        float sum = 0;
        for (int64_t p = t * top_k; p < (t + 1) * top_k; ++p)
          sum += weights[p] * to_float(rows.data<T>()[int64_t{slot[static_cast<size_t>(p)]} * cols + c]);
        y.data_mutable<T>()[t * cols + c] = from_float<T>(sum);
      }
  });
}

template <class T>
void combine_backward(const Tensor& drows, const Tensor& dweights, const Tensor& rows, const Tensor& dy, const float* weights,
                      const std::vector<int32_t>& slot, int64_t top_k) {
  const int64_t cols = dy.size(1);
  threads().ranges(dy.size(0), kMixedRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t p = t * top_k; p < (t + 1) * top_k; ++p) {
        const T* row = rows.data<T>() + int64_t{slot[static_cast<size_t>(p)]} * cols;
        T* drow = drows.data_mutable<T>() + int64_t{slot[static_cast<size_t>(p)]} * cols;
        float dot = 0;
        for (int64_t c = 0; c < cols; ++c) {
          const float g = to_float(dy.data<T>()[t * cols + c]);
          drow[c] = from_float<T>(weights[p] * g);
          dot += g * to_float(row[c]);
        }
        dweights.data_mutable<float>()[p] = dot;
      }
  });
}

}  // namespace

Assignment route(const Variable& logits, const Routing& routing) {
  const profile::Scope scope("route");
  const int64_t tokens = logits.size(0), experts = logits.size(1), k = routing.top_k;
  HONE_CHECK(logits.value().dtype() == DType::kF32 && k >= 1 && k <= experts && experts % routing.groups == 0 &&
                 k <= experts / routing.groups * routing.top_groups,
             "route: logits {}, top {} of {} groups", logits.shape().str(), k, routing.groups);
  HONE_CHECK(!routing.choice_bias.defined() || routing.choice_bias.elements() == experts, "route: choice bias {}",
             routing.choice_bias.shape().str());
  Tensor scores = Tensor::empty(logits.shape(), DType::kF32), weights = Tensor::empty({tokens, k}, DType::kF32);
  std::vector<int32_t> chosen(static_cast<size_t>(tokens * k)), best;
  std::vector<float> choice(static_cast<size_t>(experts));
  Assignment result;
  result.begin.assign(static_cast<size_t>(experts + 1), 0);
  for (int64_t t = 0; t < tokens; ++t) {
    const float* z = logits.value().data<float>() + t * experts;
    float* s = scores.data_mutable<float>() + t * experts;
    if (routing.sigmoid)
      for (int64_t e = 0; e < experts; ++e) s[e] = 1 / (1 + std::exp(-z[e]));
    else
      softmax(z, experts, s);
    for (int64_t e = 0; e < experts; ++e)
      choice[static_cast<size_t>(e)] = s[e] + (routing.choice_bias.defined() ? routing.choice_bias.data<float>()[e] : 0);
    limit_groups(choice, routing);
    top_indices(choice.data(), experts, k, best);
    float sum = 1e-20f;
    for (int64_t j = 0; j < k; ++j) sum += s[best[static_cast<size_t>(j)]];
    for (int64_t j = 0; j < k; ++j) {
      const int32_t e = best[static_cast<size_t>(j)];
      chosen[static_cast<size_t>(t * k + j)] = e;
      weights.data_mutable<float>()[t * k + j] = s[e] * routing.scale / (routing.normalize ? sum : 1);
      ++result.begin[static_cast<size_t>(e) + 1];
    }
  }
  std::partial_sum(result.begin.begin(), result.begin.end(), result.begin.begin());
  std::vector<int32_t> next(result.begin.begin(), result.begin.end() - 1);
  result.token.resize(chosen.size());
  result.slot.resize(chosen.size());
  for (size_t p = 0; p < chosen.size(); ++p) {
    const int32_t row = next[static_cast<size_t>(chosen[p])]++;
    result.slot[p] = row;
    result.token[static_cast<size_t>(row)] = static_cast<int32_t>(static_cast<int64_t>(p) / k);
  }

  result.weights = autograd::record(
      "route", {logits}, weights,
      [scores, chosen, routing, tokens, experts, k](std::vector<Tensor>& dy, autograd::Gradients& out) {
        // w_j = scale·s_j / n with n = Σ_chosen s (or 1): ds_j = scale/n · (dw_j − [normalised] Σ_i dw_i·s_i/n); then through
        // the sigmoid or the softmax.
        Tensor dz = Tensor::zeros(scores.shape(), DType::kF32);
        std::vector<float> ds(static_cast<size_t>(experts));
        for (int64_t t = 0; t < tokens; ++t) {
          const float* s = scores.data<float>() + t * experts;
          const float* dw = dy[0].data<float>() + t * k;
          const int32_t* pick = chosen.data() + t * k;
          float n = 1, mean = 0;
          if (routing.normalize) {
            n = 1e-20f;
            for (int64_t j = 0; j < k; ++j) n += s[pick[j]];
            for (int64_t j = 0; j < k; ++j) mean += dw[j] * s[pick[j]] / n;
          }
          std::fill(ds.begin(), ds.end(), 0.0f);
          for (int64_t j = 0; j < k; ++j) ds[static_cast<size_t>(pick[j])] = routing.scale / n * (dw[j] - mean);
          float* g = dz.data_mutable<float>() + t * experts;
          if (routing.sigmoid) {
            for (int64_t e = 0; e < experts; ++e) g[e] = ds[static_cast<size_t>(e)] * s[e] * (1 - s[e]);
          } else {
            float dot = 0;
            for (int64_t e = 0; e < experts; ++e) dot += ds[static_cast<size_t>(e)] * s[e];
            for (int64_t e = 0; e < experts; ++e) g[e] = s[e] * (ds[static_cast<size_t>(e)] - dot);
          }
        }
        out.add(0, dz);
      });
  return result;
}

Variable dispatch(const Variable& x, const Assignment& assignment) {
  const profile::Scope scope("dispatch");
  const DType type = x.value().dtype();
  const int64_t cols = x.size(1), rows = static_cast<int64_t>(assignment.token.size()), top_k = rows / x.size(0);
  Tensor y = Tensor::empty({rows, cols}, type);
  kernels_for(y).gather_rows(matrix(x.value()), assignment.token.data(), rows, y.raw_mutable(), type, threads());
  return autograd::record("dispatch", {x}, y,
                          [slot = assignment.slot, shape = x.shape(), top_k](std::vector<Tensor>& dy, autograd::Gradients& out) {
                            Tensor dx = Tensor::empty(shape, dy[0].dtype());
                            if (dx.dtype() == DType::kF32) dispatch_backward<float>(dx, dy[0], slot, top_k);
                            else dispatch_backward<BF16>(dx, dy[0], slot, top_k);
                            out.add(0, dx);
                          });
}

Variable combine(const Variable& rows, const Assignment& assignment) {
  const profile::Scope scope("combine");
  const Variable& weights = assignment.weights;
  const int64_t tokens = weights.size(0), top_k = weights.size(1);
  const DType type = rows.value().dtype();
  Tensor y = Tensor::empty({tokens, rows.size(1)}, type);
  const float* w = weights.value().data<float>();
  if (type == DType::kF32) combine_forward<float>(y, rows.value(), w, assignment.slot, top_k);
  else combine_forward<BF16>(y, rows.value(), w, assignment.slot, top_k);
  return autograd::record(
      "combine", {rows, weights}, y,
      [r = rows.value(), weight = weights.value(), slot = assignment.slot, top_k](std::vector<Tensor>& dy, autograd::Gradients& out) {
        Tensor drows = Tensor::empty(r.shape(), r.dtype()), dweights = Tensor::empty(weight.shape(), DType::kF32);
        if (r.dtype() == DType::kF32)
          combine_backward<float>(drows, dweights, r, dy[0], weight.data<float>(), slot, top_k);
        else
          combine_backward<BF16>(drows, dweights, r, dy[0], weight.data<float>(), slot, top_k);
        if (out.needed(0)) out.add(0, drows);
        if (out.needed(1)) out.add(1, dweights);
      });
}

}  // namespace hone::ops
