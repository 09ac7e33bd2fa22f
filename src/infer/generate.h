// Turning a prompt into an answer, token by token, for one sequence.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/kv_cache.h"
#include "infer/sampler.h"
#include "models/causal_lm.h"
#include "text/tokenizer.h"

namespace hone::infer {

struct GenerateOptions {
  SamplerOptions sampler;
  int64_t max_tokens = 512;            // of the answer
  std::vector<std::string> stop;       // the answer ends before the first of these
  std::vector<int32_t> stop_ids;       // the answer ends at the first of these tokens, which is not shown
  int64_t prefill_chunk = 256;         // prompt tokens per pass
};

enum class Finish { kStop, kLength, kCancelled };

struct Generation {
  std::vector<int32_t> ids;  // of the answer, without the stop token
  std::string text;
  Finish finish = Finish::kStop;
  int64_t prompt_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;
};

/// Feeds the prompt through `cache` (which may already hold a prefix of it: only the rest is computed) and samples until a
/// stop token, a stop string, max_tokens or the context's end. `on_text` receives the answer in pieces of complete UTF-8,
/// never past a stop string; returning false cancels. Throws Error{kInvalidInput} for an empty or too long prompt.
Generation generate(const models::CausalLm& model, const text::Tokenizer& tokenizer, std::span<const int32_t> prompt,
                    const GenerateOptions& options, SequenceCache& cache, const std::function<bool(std::string_view)>& on_text);

/// Logits (V) of the token after the last of `ids`, whose first cache.tokens() tokens are already in the cache.
std::vector<float> next_logits(const models::CausalLm& model, std::span<const int32_t> ids, SequenceCache& cache,
                               int64_t chunk = 256);

}  // namespace hone::infer
