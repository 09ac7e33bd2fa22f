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
  Tensor u, b;                   // of the head's low-rank change, where it has one: (rows, R) as x, (V, R) F32
  float update_scale = 1;
  Tensor du, db;                 // (rows, R) as x, (V, R) F32

  float weight(size_t row) const { return weights.empty() ? 1 : weights[row]; }
};

// z += scale · u·Bᵀ, for rows of both.
void add_update(kernels::Gemm& score, const Rows& r, const Tensor& u, int64_t first, int64_t count) {
  if (r.b.defined()) score.products[score.count++] = {matrix(u), false, rows_of(matrix(r.b), first, count), true, r.update_scale};
}

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
    add_update(score, r, r.u, first, width);
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

// A head that is trained, itself or by a low-rank change: its gradient needs the final probabilities, so rows come in chunks with all their
// logits. `whole`: the weight's own gradient is wanted.
void by_chunks(Rows& r, const Tensor& weight, float scale, bool whole) {
  const auto& k = kernels_for(r.x);
  const DType type = r.x.dtype();
  const int64_t rows = r.x.size(0), cols = r.x.size(1), vocab = weight.size(0), chunk = std::clamp<int64_t>(kLogitBytes / row_bytes(type, vocab), 1, rows);
  r.dx = Tensor::empty(r.x.shape(), type);
  if (whole) r.dweight = Tensor::zeros(weight.shape(), DType::kF32);
  const int64_t rank = r.b.defined() ? r.b.size(1) : 0;
  if (rank > 0) {
    r.du = Tensor::empty(r.u.shape(), type);
    r.db = Tensor::zeros(r.b.shape(), DType::kF32);
  }
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
    const Tensor u = rank > 0 ? r.u.rows(begin, begin + n) : Tensor{};
    add_update(head, r, u, 0, vocab);
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
    if (rank > 0) {
      const Tensor dpart_u = r.du.rows(begin, begin + n);
      kernels::Gemm du, db;
      du.m = n;
      du.n = rank;
      du.products[0] = {matrix(z), false, matrix(r.b), false, r.update_scale};
      du.c = dpart_u.raw_mutable();
      du.c_type = type;
      du.ldc = rank;
      du.precision = precision_of(type);
      k.gemm(&du, 1, threads());
      db.m = vocab;
      db.n = rank;
      db.products[0] = {matrix(z), true, matrix(u), false, r.update_scale};
      db.c = r.db.raw_mutable();
      db.ldc = rank;
      db.accumulate = true;
      db.precision = precision_of(type);
      k.gemm(&db, 1, threads());
    }
    if (!whole) continue;
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

namespace {

// Rows of dh from those of the labelled rows, zeros elsewhere.
Tensor spread(const Tensor& dx, const std::vector<int32_t>& rows, const Shape& shape, float upstream) {
  Tensor dh = Tensor::zeros(shape, dx.dtype());
  const auto bytes = static_cast<size_t>(row_bytes(dx.dtype(), shape[-1]));
  auto* to = static_cast<std::byte*>(dh.raw_mutable());
  for (size_t i = 0; i < rows.size(); ++i) std::memcpy(to + static_cast<size_t>(rows[i]) * bytes, dx.data<std::byte>() + i * bytes, bytes);
  if (upstream != 1) kernels_for(dh).axpby(dh.elements(), upstream, dh.raw(), dh.dtype(), 0, dh.raw_mutable(), dh.dtype(), threads());
  return dh;
}

void add_scaled(const Tensor& grad, const Tensor& from, float upstream) {
  if (grad.defined() && from.defined()) kernels_for(grad).axpby(grad.elements(), upstream, from.raw(), DType::kF32, 1, grad.raw_mutable(), DType::kF32, threads());
}

}  // namespace

TokenLoss linear_cross_entropy(const Variable& h, const Variable& weight, const Labels& labels, float scale, const HeadUpdate& update) {
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
  const bool gradient = autograd::needs_grad({&h, &weight, &update.u, &update.b});
  HONE_CHECK(!update.b.requires_grad() || update.b.leaf(), "linear_cross_entropy: a trained B must be a parameter");
  HONE_CHECK(!update.b.defined() || (update.b.size(0) == vocab && update.u.value().dtype() == type && update.u.size(0) == h.size(0) && update.u.size(1) == update.b.size(1)),
             "linear_cross_entropy: u {}, B {}", update.u.shape().str(), update.b.shape().str());

  Rows labelled;
  labelled.x = Tensor::empty({count, cols}, type);
  k.gather_rows(matrix(h.value()), rows.data(), count, labelled.x.raw_mutable(), type, threads());
  for (const int32_t row : rows) {
    labelled.targets.push_back(labels.ids.data<int32_t>()[row]);
    if (!labels.weights.empty()) labelled.weights.push_back(labels.weights[static_cast<size_t>(row)]);
  }
  if (update.b.defined()) {
    labelled.b = update.b.value();
    labelled.update_scale = update.scale;
    labelled.u = Tensor::empty({count, update.b.size(1)}, type);
    k.gather_rows(matrix(update.u.value()), rows.data(), count, labelled.u.raw_mutable(), type, threads());
  }
  if (count > 0) {
    const bool whole = weight.leaf() != nullptr;
    if (gradient && (whole || update.b.defined())) by_chunks(labelled, weight.value(), scale, whole);
    else by_stripes(labelled, weight.value(), scale, gradient);
  }
  TokenLoss result;
  result.tokens = count;
  result.sum = labelled.loss;
  result.correct = labelled.correct;

  const float loss = static_cast<float>(result.sum * scale);
  result.loss = autograd::record(
      "linear_cross_entropy", {h, weight, update.u, update.b}, Tensor::from({1}, std::span(&loss, 1)),
      [dx = labelled.dx, dweight = labelled.dweight, du = labelled.du, db = labelled.db, rows, shape = h.shape(), u_shape = update.u.shape(), type](std::vector<Tensor>& dy,
                                                                                                                                           autograd::Gradients& out) {
        const float upstream = dy[0].data<float>()[0];
        if (out.needed(0)) out.add(0, dx.defined() ? spread(dx, rows, shape, upstream) : Tensor::zeros(shape, type));
        add_scaled(out.leaf(1), dweight, upstream);
        if (out.needed(2)) out.add(2, du.defined() ? spread(du, rows, u_shape, upstream) : Tensor::zeros(u_shape, type));
        add_scaled(out.leaf(3), db, upstream);
      });
  return result;
}

}  // namespace hone::ops
