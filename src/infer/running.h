// One request while it is served: its tokens, pages, sampler and output.
#pragma once

#include <atomic>
#include <chrono>

#include "infer/draft.h"
#include "infer/engine.h"
#include "infer/kv_pool.h"
#include "infer/output.h"

namespace hone::infer {

using Clock = std::chrono::steady_clock;

struct Running {
  Running(uint64_t number, Request wanted, std::shared_ptr<Receiver> to, const text::Tokenizer& tokenizer);

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t prompt_tokens() const { return static_cast<int64_t>(request.prompt.size()); }
  /// Whether its next token comes from the last one sampled, alone.
  bool decodes() const { return computed + 1 == tokens() && produced > 0; }
  /// Token i of ids and, behind them, of what is guessed to follow.
  int32_t token(int64_t i) const { return i < tokens() ? ids[static_cast<size_t>(i)] : guessed[static_cast<size_t>(i - tokens())]; }
  /// Guesses tokens to follow ids, which come with the next pass; at most `most` of them. See Draft::guess.
  void guess(int64_t sequences, int64_t most, std::span<const int32_t> recent, bool costly_rows) {
    guessed = draft_.guess(ids, sequences, std::min(most, request.options.max_tokens - produced - 1), recent, costly_rows);
  }

  /// Takes logits (1 + guessed, V), of the last of ids and of the guessed tokens, all computed: samples and shows tokens for as long as they are the
  /// guessed ones, and one more, and ends the request when its answer is over. `context`: most tokens there can be.
  void next_tokens(float* logits, int64_t vocab, int64_t context);
  /// Forgets what was computed; what was shown stays shown.
  void begin_again() { computed = remembered = 0, hidden_sum.clear(); }
  /// Shows tokens of the prompt that were not shown yet; row i of logits (n, V) follows token first + i.
  void prompt_logits(const float* logits, int64_t first, int64_t n, int64_t vocab);
  void end(Finish finish) { over = true, outcome.finish = finish; }
  void fail(const Error& error) { over = true, outcome.error = error; }
  /// Tells the receiver; its exceptions are its own fault and end nothing else.
  void report();

  const uint64_t number;
  Request request;
  const std::shared_ptr<Receiver> receiver;
  const Clock::time_point submitted = Clock::now();
  std::atomic<bool> cancelled = false;
  std::shared_ptr<const nn::AdapterLayers> adapter;  // null: the base model
  uint64_t salt = 0;                                 // of this adapter's prefixes

  std::vector<int32_t> ids;            // prompt and answer
  int64_t computed = 0, produced = 0;  // tokens whose keys and values are in `pages`; tokens of the answer
  int64_t remembered = 0;              // pages that the pool knows as prefixes
  std::vector<KvPool::Page*> pages;
  std::vector<int32_t> guessed;        // behind ids, in the pass to come
  std::vector<float> hidden_sum;       // with embed (C)
  int64_t shown_prompt = 0;            // with prompt_logprobs: tokens
  bool over = false;
  Outcome outcome;

 private:
  void show(const TokenEvent& event);
  void next_token(std::span<float> logits, int64_t context);
  Sampler sampler_;
  text::StreamDecoder decoder_;
  Output output_;
  Draft draft_;
  Clock::time_point first_token_;
};

/// log softmax(logits)[id], and with top > 0 the likeliest tokens.
TokenLogprob logprob_of(std::span<const float> logits, int32_t id, int32_t top, std::vector<TokenLogprob>* likeliest);

}  // namespace hone::infer
