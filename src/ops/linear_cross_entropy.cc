#include "ops/linear_cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace hone::ops {
namespace {

// Logits that exist at the same time: enough that packing the rows for every part of them costs little, few beside the activations.
constexpr int64_t kLogitBytes = 16 << 20;
constexpr int64_t kStripe = 256;  // stripes of the vocabulary are multiples of it

std::vector<int32_t> labelled_rows(const Tensor& labels, int64_t vocab) {
  std::vector<int32_t> rows;
  const int32_t* label = labels.data<int32_t>();
  for (int64_t t = 0; t < labels.elements(); ++t) {
    if (label[t] == kIgnoreLabel) continue;
    if (label[t] < 0 || label[t] >= vocab)
      throw Error(ErrorCode::kInvalidInput, fmt::format("label of token {}", t),
                  fmt::format("{} is outside the vocabulary of {}", label[t], vocab),
                  "use the tokenizer that belongs to this model");
    rows.push_back(static_cast<int32_t>(t));
  }
  return rows;
}

}  // namespace

int64_t logit_columns_at_once(int64_t rows, int64_t vocab) {
  const int64_t most = std::max<int64_t>(1, kLogitBytes / 4 / std::max<int64_t>(1, rows) / kStripe) * kStripe;
  const int64_t stripes = (vocab + most - 1) / most;
  return std::min(vocab, ((vocab + stripes - 1) / stripes + kStripe - 1) / kStripe * kStripe);
}

namespace {

// What the loss needs of the labelled rows, and what becomes of them.
struct Rows {
  Tensor x;                      // (rows, C)
  std::vector<int32_t> targets;  // (rows)
  std::vector<float> weights;    // (rows), or empty: 1 each
  double loss = 0;
  int64_t correct = 0;
  Tensor dx, dweight;            // when they are wanted: (rows, C) as x, (V, C) F32

  float weight(size_t row) const { return weights.empty() ? 1 : weights[row]; }
};

// The head in stripes of the vocabulary: scores of a stripe become weights exp(z − top), and the gradient is the sum of the head's rows by
// these weights, rescaled whenever a row's top rises (as in attention that never holds its scores), minus the label's row by their total. The label
// itself stays out of the sum: where it is nearly sure, its row would cancel but for what rounding left of it.
void by_stripes(Rows& r, const Tensor& weight, float scale, bool gradient) {
  const auto& k = kernels_for(r.x);
  const DType type = r.x.dtype();
  const int64_t rows = r.x.size(0), cols = r.x.size(1), vocab = weight.size(0), stripe = logit_columns_at_once(rows, vocab);
  const kernels::Precision precision = precision_of(type, weight);
  std::vector<kernels::SoftmaxRow> state(r.targets.size());
  Tensor logits = Tensor::empty({rows, stripe}, DType::kF32), sums = gradient ? Tensor::zeros({rows, cols}, DType::kF32) : Tensor{};
  auto* z = logits.data_mutable<float>();
  for (int64_t first = 0; first < vocab; first += stripe) {
    const int64_t width = std::min(stripe, vocab - first);
    const kernels::Matrix part = rows_of(matrix(weight), first, width);
    kernels::Gemm score;
    score.m = rows;
    score.n = width;
    score.products[0] = {matrix(r.x), false, part, true, 1};
    score.c = z;
    score.ldc = width;
    score.precision = precision;
    k.gemm(&score, 1, threads());
    k.softmax_stripe(rows, first, width, z, type, r.targets.data(), state.data(), gradient ? sums.data_mutable<float>() : nullptr, cols, threads());
    if (!gradient) continue;
    kernels::Gemm back;
    back.m = rows;
    back.n = cols;
    back.products[0] = {{z, type, rows, width, width * 4, nullptr}, false, part, false, 1};
    back.c = sums.raw_mutable();
    back.ldc = cols;
    back.accumulate = true;
    back.precision = precision;
    k.gemm(&back, 1, threads());
  }
  const auto total = [](const kernels::SoftmaxRow& row) { return row.others + std::exp(static_cast<double>(row.label) - row.top); };
  for (size_t t = 0; t < state.size(); ++t) {
    r.loss += r.weight(t) * (std::log(total(state[t])) + state[t].top - state[t].label);
    r.correct += state[t].best == r.targets[t];
  }
  if (!gradient) return;
  r.dx = Tensor::empty(r.x.shape(), type);
  Tensor label = Tensor::empty(sums.shape(), DType::kF32);
  k.gather_rows(matrix(weight), r.targets.data(), rows, label.raw_mutable(), DType::kF32, threads());
  auto *sum = sums.data_mutable<float>(), *own = label.data_mutable<float>();
  threads().ranges(rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const kernels::SoftmaxRow& row = state[static_cast<size_t>(t)];
      const double share = scale * r.weight(static_cast<size_t>(t)) / total(row);
      k.axpby(cols, static_cast<float>(share), sum + t * cols, DType::kF32, static_cast<float>(-share * row.others), own + t * cols, DType::kF32, threads());
    }
  });
  k.axpby(rows * cols, 1, own, DType::kF32, 0, r.dx.raw_mutable(), type, threads());
}

// A head that is trained: its gradient needs the final probabilities, so rows come in chunks with all their logits.
void by_chunks(Rows& r, const Tensor& weight, float scale) {
  const auto& k = kernels_for(r.x);
  const DType type = r.x.dtype();
  const int64_t rows = r.x.size(0), cols = r.x.size(1), vocab = weight.size(0), chunk = std::clamp<int64_t>(kLogitBytes / row_bytes(type, vocab), 1, rows);
  r.dx = Tensor::empty(r.x.shape(), type);
  r.dweight = Tensor::zeros(weight.shape(), DType::kF32);
  std::vector<float> losses(r.targets.size());
  std::vector<uint8_t> correct(r.targets.size());
  Tensor logits = Tensor::empty({chunk, vocab}, type);
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    const int64_t n = std::min(chunk, rows - begin);
    const Tensor part = r.x.rows(begin, begin + n), dpart = r.dx.rows(begin, begin + n), z = logits.rows(0, n);
    kernels::Gemm head, back, dw;
    head.m = n;
    head.n = vocab;
    head.products[0] = {matrix(part), false, matrix(weight), true, 1};
    head.c = z.raw_mutable();
    head.c_type = type;
    head.ldc = vocab;
    head.precision = precision_of(type, weight);
    k.gemm(&head, 1, threads());
    k.cross_entropy(n, vocab, z.raw_mutable(), type, r.targets.data() + begin, scale, losses.data() + begin, correct.data() + begin, threads());
    for (int64_t t = 0; t < n && !r.weights.empty(); ++t)
      k.axpby(vocab, r.weights[static_cast<size_t>(begin + t)], z.rows(t, t + 1).raw(), type, 0, z.rows(t, t + 1).raw_mutable(), type, threads());
    back.m = n;
    back.n = cols;
    back.products[0] = {matrix(z), false, matrix(weight), false, 1};
    back.c = dpart.raw_mutable();
    back.c_type = type;
    back.ldc = cols;
    back.precision = head.precision;
    k.gemm(&back, 1, threads());
    dw.m = vocab;
    dw.n = cols;
    dw.products[0] = {matrix(z), true, matrix(part), false, 1};
    dw.c = r.dweight.raw_mutable();
    dw.ldc = cols;
    dw.accumulate = true;
    dw.precision = precision_of(type);
    k.gemm(&dw, 1, threads());
  }
  for (size_t t = 0; t < losses.size(); ++t) {
    r.loss += r.weight(t) * losses[t];
    r.correct += correct[t];
  }
}

}  // namespace

TokenLoss linear_cross_entropy(const Variable& h, const Variable& weight, const Labels& labels, float scale) {
  const profile::Scope scope("linear_cross_entropy");
  const int64_t cols = weight.size(1), vocab = weight.size(0);
  check_activation("linear_cross_entropy", h.value(), cols);
  HONE_CHECK(labels.ids.dtype() == DType::kI32 && labels.ids.elements() == h.size(0), "linear_cross_entropy: {} labels for {} rows",
             labels.ids.elements(), h.size(0));
  HONE_CHECK(labels.weights.empty() || static_cast<int64_t>(labels.weights.size()) == h.size(0), "linear_cross_entropy: {} weights for {} rows",
             labels.weights.size(), h.size(0));
  const DType type = h.value().dtype();
  const auto& k = kernels_for(h.value());
  const std::vector<int32_t> rows = labelled_rows(labels.ids, vocab);
  const auto count = static_cast<int64_t>(rows.size());
  const bool gradient = autograd::needs_grad({&h, &weight});

  Rows labelled;
  labelled.x = Tensor::empty({count, cols}, type);
  k.gather_rows(matrix(h.value()), rows.data(), count, labelled.x.raw_mutable(), type, threads());
  for (const int32_t row : rows) {
    labelled.targets.push_back(labels.ids.data<int32_t>()[row]);
    if (!labels.weights.empty()) labelled.weights.push_back(labels.weights[static_cast<size_t>(row)]);
  }
  if (count > 0) {
    if (gradient && weight.leaf() != nullptr) by_chunks(labelled, weight.value(), scale);
    else by_stripes(labelled, weight.value(), scale, gradient);
  }
  TokenLoss result;
  result.tokens = count;
  result.sum = labelled.loss;
  result.correct = labelled.correct;

  const float loss = static_cast<float>(result.sum * scale);
  result.loss = autograd::record(
      "linear_cross_entropy", {h, weight}, Tensor::from({1}, std::span(&loss, 1)),
      [dx = labelled.dx, dweight = labelled.dweight, rows, type, shape = h.shape()](std::vector<Tensor>& dy, autograd::Gradients& out) {
        const float upstream = dy[0].data<float>()[0];
        const int64_t width = shape[-1];
        if (out.needed(0)) {
          Tensor dh = Tensor::zeros(shape, type);
          const auto bytes = static_cast<size_t>(row_bytes(type, width));
          auto* to = static_cast<std::byte*>(dh.raw_mutable());
          for (size_t i = 0; i < rows.size(); ++i) std::memcpy(to + static_cast<size_t>(rows[i]) * bytes, dx.data<std::byte>() + i * bytes, bytes);
          if (upstream != 1)
            kernels_for(dh).axpby(dh.elements(), upstream, dh.raw(), dh.dtype(), 0, dh.raw_mutable(), dh.dtype(), threads());
          out.add(0, dh);
        }
        if (Tensor grad = out.leaf(1); grad.defined() && dweight.defined())
          kernels_for(grad).axpby(grad.elements(), upstream, dweight.raw(), DType::kF32, 1, grad.raw_mutable(), DType::kF32,
                                  threads());
      });
  return result;
}

}  // namespace hone::ops
