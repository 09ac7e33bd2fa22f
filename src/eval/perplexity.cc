#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"

namespace hone::eval {
namespace {

Tensor to_tensor(const std::vector<int32_t>& values) {
  return Tensor::from({static_cast<int64_t>(values.size())}, std::span<const int32_t>(values));
}

// Adds the predictions of tokens [first, end) of a window, first ≥ 1.
void add_window(const models::CausalLm& model, const std::vector<int32_t>& window, int64_t first, Perplexity& total) {
  const auto n = static_cast<int64_t>(window.size());
  std::vector<int32_t> positions(window.size()), labels(window.size(), ops::kIgnoreLabel);
  std::iota(positions.begin(), positions.end(), 0);
  for (int64_t i = first; i < n; ++i) labels[static_cast<size_t>(i - 1)] = window[static_cast<size_t>(i)];
  const nn::Sequence sequence{to_tensor(window), to_tensor(positions), to_tensor({0, static_cast<int32_t>(n)})};
  const ops::TokenLoss loss = model.loss(sequence, to_tensor(labels), 1, nn::Pass{});
  total.negative_log_likelihood += loss.sum;
  total.tokens += loss.tokens;
  total.correct += loss.correct;
}

}  // namespace

double Perplexity::value() const { return std::exp(mean()); }

Perplexity perplexity(const models::CausalLm& model, std::span<const int32_t> ids, const PerplexityOptions& options) {
  const auto n = static_cast<int64_t>(ids.size());
  const bool chunks = options.method == PerplexityMethod::kChunks;
  HONE_CHECK(options.window >= 2 && (chunks || (options.stride >= 1 && options.stride < options.window)), "window {}, stride {}", options.window, options.stride);
  const int64_t least = chunks ? 2 * options.window : 2;
  if (n < least)
    throw Error(ErrorCode::kInvalidInput, "text", fmt::format("expected at least {} tokens, found {}", least, n), chunks ? "take a longer text, a smaller eval.window, or eval.perplexity: sliding" : "take a longer text");
  if (std::min(options.window, n) > model.max_positions())
    throw Error(ErrorCode::kInvalidInput, "eval.window", fmt::format("{} tokens are more than the model reads at once ({})", options.window, model.max_positions()), "make the window smaller");
  const autograd::NoGrad no_grad;
  Perplexity total;
  const int64_t step = chunks ? options.window : options.stride;
  const int64_t windows = chunks ? n / options.window : n <= options.window ? 1 : (n - options.window + step - 1) / step + 1;
  int64_t predicted = 1;  // tokens before this one need no prediction any more
  for (int64_t w = 0; w < windows; ++w) {
    if (options.interrupted && options.interrupted()) throw Error(ErrorCode::kInterrupted, "perplexity", "interrupted", "");
    const int64_t begin = w * step, end = std::min(begin + options.window, n);
    std::vector<int32_t> window(ids.begin() + begin, ids.begin() + end);
    if (chunks && options.bos) window[0] = *options.bos;
    add_window(model, window, chunks ? options.window / 2 + 1 : predicted - begin, total);
    predicted = end;
    if (options.on_window) options.on_window(w + 1, windows);
  }
  return total;
}

}  // namespace hone::eval
