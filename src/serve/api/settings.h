// Sampling settings of a request, in the words of either API.
#pragma once

#include <string>
#include <vector>

#include "infer/engine.h"
#include "serve/api/fields.h"
#include "serve/models/penalties.h"

namespace hone::serve {

struct Settings {
  infer::GenerateOptions generate;
  PenaltyOptions penalties;
  int64_t max_tokens = -1;  // of the answer; −1: as many as the context holds
  int64_t context = 0;      // tokens that prompt and answer may have together; 0: as many as the model takes
};

/// Ollama's options: `defaults` are the model's own, `options` the request's, which count more. Of what store/parameters.h does not
/// say that it is read, note_once() tells. Throws Error{kInvalidInput}, and Error{kUnsupported} for what would change answers.
Settings ollama_settings(const Json& defaults, const Json& options);
/// OpenAI's top-level fields, and top_k, min_p, repetition_penalty besides. Defaults are OpenAI's, then the model's own.
Settings openai_settings(const Json& defaults, const Fields& request);

/// Anthropic's top-level fields, of which max_tokens must be there; min_p and seed besides. Defaults are Anthropic's, then the model's own.
Settings anthropic_settings(const Json& defaults, const Fields& request);

/// Tokens the answer may have after a prompt of `prompt` tokens in a model of `context` positions.
int64_t room(const Settings& settings, int64_t prompt, int64_t context);
/// The smaller of the request's and the model's context.
int64_t context_of(const Settings& settings, int64_t model_context);

/// What filters an answer's tokens: the penalties, then `json` (may be null). Null when there is nothing to do.
std::shared_ptr<infer::TokenFilter> filter_of(const Settings& settings, std::shared_ptr<infer::TokenFilter> json);

uint64_t random_seed();

}  // namespace hone::serve
