// Many requests at once over one resident model: they join and leave a running batch between steps.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "infer/sampler.h"
#include "models/causal_lm.h"
#include "text/tokenizer.h"

namespace hone::infer {

struct GenerateOptions {
  SamplerOptions sampler;
  int64_t max_tokens = 512;            // of the answer
  std::vector<std::string> stop;       // the answer ends before the first of these
  std::vector<int32_t> stop_ids;       // the answer ends at the first of these tokens, which is not shown
};

enum class Finish { kStop, kLength, kCancelled };

struct EngineOptions {
  int64_t max_batch = 32;       // sequences that run together
  int64_t max_queue = 512;      // requests that wait; beyond, submit refuses
  int64_t prefill_chunk = 512;  // prompt tokens of one step, over all sequences
  int64_t cache_tokens = 0;     // keys and values kept, in tokens over all sequences; 0: as many as fit kCacheBytes, at least one context
  bool cache_q8 = false;        // keys and values as bytes with a scale per 32 of them: half the memory; answers change a little
  bool draft = true;            // where few answer at once, tokens are guessed from earlier text and checked in one pass: fewer passes, the same answers (Draft)
  double batch_timeout = 0;     // seconds that single-shot requests (max_tokens 0, embed) may wait for max_batch of them to come together
};
inline constexpr int64_t kCacheBytes = int64_t{1} << 30;

/// A token's log probability under the model, before any sampling filter.
struct TokenLogprob {
  int32_t id = 0;
  float logprob = 0;
};

/// Decides which tokens may come next (JSON mode, schemas, grammars). Lives as long as its request; used on the engine's thread.
class TokenFilter {
 public:
  virtual ~TokenFilter() = default;
  /// Sets logits (V) of tokens that may not come next to −∞; at least one stays finite.
  virtual void apply(std::span<float> logits) = 0;
  virtual void accept(int32_t id) = 0;
};

struct Request {
  std::vector<int32_t> prompt;
  GenerateOptions options;               // max_tokens 0: only the prompt is computed (scoring)
  std::vector<int32_t> prediction;       // what the answer may turn out to be: where it does, it comes faster
  std::string adapter;                   // name of a loaded adapter; empty: the base model
  int32_t top_logprobs = -1;             // −1: none; 0: of the token itself; n: of the n likeliest too
  bool prompt_logprobs = false;          // of the prompt's tokens too (all but the first)
  bool stop_logprob = false;             // of the stop token that ends the answer too: one more event, without text; not counted as a token of the answer
  bool embed = false;                    // only the prompt's embedding is wanted
  std::shared_ptr<TokenFilter> filter;

  /// Whether the prompt is read once and nothing is answered.
  bool single_shot() const { return embed || options.max_tokens == 0; }
};

/// One token of the answer (or of the prompt, with prompt_logprobs).
struct TokenEvent {
  int32_t id = 0;
  bool of_prompt = false;
  std::string text;                // complete UTF-8 that became certain with this token, never part of a stop string; may be empty
  float logprob = 0;               // with top_logprobs ≥ 0; 0 for the prompt's first token
  std::vector<TokenLogprob> top;   // likeliest first
};

struct Outcome {
  Finish finish = Finish::kStop;
  std::optional<Error> error;      // the request failed; other requests did not
  std::string text;                // held back until the end was certain: follows the events' text
  int64_t prompt_tokens = 0, reused_tokens = 0, answer_tokens = 0;  // reused: of the prompt, computed for an earlier request
  int64_t guessed_tokens = 0, taken_tokens = 0;  // of the answer: guessed by the draft, and right
  double queue_seconds = 0, prefill_seconds = 0, decode_seconds = 0;
  std::vector<float> embedding;    // with embed: the mean of the final hidden states, of length 1 (C)
};

/// Receives one request's tokens, one after the other, on a thread of the engine's: it must return at once.
class Receiver {
 public:
  virtual ~Receiver() = default;
  /// Returning false cancels the request.
  virtual bool on_token(const TokenEvent& event) = 0;
  /// Called once, last, whatever happened.
  virtual void on_done(const Outcome& outcome) = 0;
};

struct EngineMetrics {
  int64_t waiting = 0, running = 0, finished = 0, refused = 0, cancelled = 0, failed = 0;
  int64_t prompt_tokens = 0, reused_tokens = 0, answer_tokens = 0;
  int64_t guessed_tokens = 0, taken_tokens = 0;
  int64_t steps = 0, batch_rows = 0;   // rows: tokens that passed through the model, over all steps
  double busy_seconds = 0;

  EngineMetrics& operator+=(const EngineMetrics& other);
};

class Engine {
 public:
  /// `tokenizer` must outlive the engine.
  Engine(std::shared_ptr<const models::CausalLm> model, const text::Tokenizer& tokenizer, const EngineOptions& options);
  /// Ends every open request with kCancelled.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Queues a request; thread-safe. Returns a number for cancel(). Throws Error{kInvalidInput} for what can never run (empty or
  /// too long prompt, options out of range, unknown adapter), Error{kBusy} when the queue is full.
  uint64_t submit(Request request, std::shared_ptr<Receiver> receiver);
  /// Ends the request soon with kCancelled; nothing happens when it is over.
  void cancel(uint64_t number);

  /// Makes an adapter known by name, or replaces the one of that name: requests submitted from now on use the new one, those in
  /// progress keep theirs. What was computed with the old one is not reused for the new. Thread-safe, like unload_adapter.
  void load_adapter(const std::string& name, std::shared_ptr<const nn::AdapterLayers> layers);
  /// False when there is none of that name.
  bool unload_adapter(const std::string& name);

  EngineMetrics metrics() const;
  const models::CausalLm& model() const { return *model_; }

 private:
  class Scheduler;  // the engine's thread
  std::shared_ptr<const models::CausalLm> model_;
  std::unique_ptr<Scheduler> scheduler_;  // ends before the model does
};

}  // namespace hone::infer
