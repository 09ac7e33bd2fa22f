// Perplexity of a text that is longer than what the model reads at once.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "models/causal_lm.h"

namespace hone::eval {

/// kSliding: windows of `window` tokens move on by `stride`; every token but the first is predicted once, with window − stride tokens
/// or more before it (transformers' guide). kChunks: windows lie end to end, the first token of each is replaced by the begin token
/// where there is one, and only the tokens after the middle count (llama-perplexity).
enum class PerplexityMethod { kSliding, kChunks };

struct PerplexityOptions {
  PerplexityMethod method = PerplexityMethod::kSliding;
  int64_t window = 512, stride = 256;  // tokens; 1 ≤ stride < window
  std::optional<int32_t> bos;          // of kChunks
  std::function<void(int64_t done, int64_t of)> on_window;
  std::function<bool()> interrupted;
};

struct Perplexity {
  double negative_log_likelihood = 0;  // Σ −log p, natural
  int64_t tokens = 0, correct = 0;     // predicted; predicted as the most likely one
  double mean() const { return negative_log_likelihood / static_cast<double>(tokens); }
  double value() const;
  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(tokens); }
};

/// `ids`: the text's tokens, with the begin token in front where the model wants one. Throws Error{kInvalidInput} when there are too
/// few (two; for kChunks two windows) or the window is longer than the model's context, Error{kInterrupted} when asked to stop.
Perplexity perplexity(const models::CausalLm& model, std::span<const int32_t> ids, const PerplexityOptions& options);

}  // namespace hone::eval
