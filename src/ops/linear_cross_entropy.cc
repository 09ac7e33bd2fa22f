#include "ops/linear_cross_entropy.h"

#include <algorithm>
#include <cstring>

namespace hone::ops {
namespace {

// Logits of one chunk: large enough that the head's weight, which every chunk streams twice, is read few times, small beside
// the activations.
constexpr int64_t kChunkBytes = 40 << 20;

}  // namespace

// As many as fit, in chunks of about equal size.
int64_t logit_rows_at_once(int64_t rows, int64_t vocab, DType type) {
  const int64_t most = std::max<int64_t>(1, std::min(rows, kChunkBytes / row_bytes(type, vocab)));
  const int64_t chunks = (rows + most - 1) / std::max<int64_t>(1, most);
  return chunks ? (rows + chunks - 1) / chunks : 1;
}

namespace {

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

TokenLoss linear_cross_entropy(const Variable& h, const Variable& weight, const Tensor& labels, float scale) {
  const profile::Scope scope("linear_cross_entropy");
  const int64_t cols = weight.size(1), vocab = weight.size(0);
  check_activation("linear_cross_entropy", h.value(), cols);
  HONE_CHECK(labels.dtype() == DType::kI32 && labels.elements() == h.size(0), "linear_cross_entropy: {} labels for {} rows",
             labels.elements(), h.size(0));
  const DType type = h.value().dtype();
  const auto& k = kernels_for(h.value());
  const std::vector<int32_t> rows = labelled_rows(labels, vocab);
  const auto count = static_cast<int64_t>(rows.size());
  const bool gradient = autograd::needs_grad({&h, &weight}), train_head = gradient && weight.leaf() != nullptr;

  Tensor picked = Tensor::empty({count, cols}, type);
  k.gather_rows(matrix(h.value()), rows.data(), count, picked.raw_mutable(), type, threads());
  std::vector<int32_t> targets(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) targets[i] = labels.data<int32_t>()[rows[i]];

  Tensor dpicked = gradient ? Tensor::empty({count, cols}, type) : Tensor{};
  Tensor dweight = train_head ? Tensor::zeros(weight.shape(), DType::kF32) : Tensor{};
  TokenLoss result;
  result.tokens = count;
  std::vector<float> losses(rows.size());
  std::vector<uint8_t> correct(rows.size());
  // Beside BF16 activations, logits that are to become a gradient are BF16 too: their products would round them anyway.
  const DType logits_type = gradient ? type : DType::kF32;
  const int64_t chunk = logit_rows_at_once(count, vocab, logits_type);
  Tensor logits = count ? Tensor::empty({chunk, vocab}, logits_type) : Tensor{};
  for (int64_t begin = 0; begin < count; begin += chunk) {
    const int64_t n = std::min(chunk, count - begin);
    const Tensor part = picked.rows(begin, begin + n), z = logits.rows(0, n);
    kernels::Gemm head;
    head.m = n;
    head.n = vocab;
    head.products[0] = {matrix(part), false, matrix(weight.value()), true, 1};
    head.c = z.raw_mutable();
    head.c_type = logits_type;
    head.ldc = vocab;
    head.precision = precision_of(type, weight.value());
    k.gemm(&head, 1, threads());
    k.cross_entropy(n, vocab, z.raw_mutable(), logits_type, targets.data() + begin, scale, gradient, losses.data() + begin,
                    correct.data() + begin, threads());
    if (!gradient) continue;
    kernels::Gemm back;
    const Tensor dpart = dpicked.rows(begin, begin + n);
    back.m = n;
    back.n = cols;
    back.products[0] = {matrix(z), false, matrix(weight.value()), false, 1};
    back.c = dpart.raw_mutable();
    back.c_type = type;
    back.ldc = cols;
    back.precision = precision_of(type, weight.value());
    k.gemm(&back, 1, threads());
    if (train_head) {
      kernels::Gemm dw;
      dw.m = vocab;
      dw.n = cols;
      dw.products[0] = {matrix(z), true, matrix(part), false, 1};
      dw.c = dweight.raw_mutable();
      dw.ldc = cols;
      dw.accumulate = true;
      dw.precision = precision_of(type);
      k.gemm(&dw, 1, threads());
    }
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    result.sum += losses[i];
    result.correct += correct[i];
  }

  const float loss = static_cast<float>(result.sum * scale);
  result.loss = autograd::record(
      "linear_cross_entropy", {h, weight}, Tensor::from({1}, std::span(&loss, 1)),
      [dpicked, dweight, rows, shape = h.shape()](std::vector<Tensor>& dy, autograd::Gradients& out) {
        const float upstream = dy[0].data<float>()[0];
        const int64_t width = shape[-1];
        if (out.needed(0)) {
          Tensor dh = Tensor::zeros(shape, dpicked.dtype());
          const size_t bytes = static_cast<size_t>(row_bytes(dpicked.dtype(), width));
          auto* to = static_cast<std::byte*>(dh.raw_mutable());
          const auto* from = static_cast<const std::byte*>(dpicked.raw());
          for (size_t i = 0; i < rows.size(); ++i)
            std::memcpy(to + static_cast<size_t>(rows[i]) * bytes, from + i * bytes, bytes);
          if (upstream != 1)
            kernels_for(dh).axpby(dh.elements(), upstream, dh.raw(), dh.dtype(), 0, dh.raw_mutable(), dh.dtype(), threads());
          out.add(0, dh);
        }
        if (Tensor grad = out.leaf(1); grad.defined())
          kernels_for(grad).axpby(grad.elements(), upstream, dweight.raw(), DType::kF32, 1, grad.raw_mutable(), DType::kF32,
                                  threads());
      });
  return result;
}

}  // namespace hone::ops
