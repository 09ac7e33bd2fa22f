#include "infer/engine.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>

#include "infer/batch_cache.h"
#include "infer/running.h"
#include "ops/elementwise.h"

namespace hone::infer {
namespace {

constexpr int64_t kPage = kernels::kPageTokens;
constexpr int64_t kLogitRows = 64;  // of a prompt's logits at once

int64_t pages_for(int64_t tokens) { return (tokens + kPage - 1) / kPage; }

KvLayout layout_of(const models::CausalLm& model, const EngineOptions& options) {
  return KvLayout::of(model.config(), options.cache_q8 ? DType::kI8 : model.activation());
}

int64_t pool_pages(const KvLayout& layout, const EngineOptions& options, int64_t context) {
  if (options.cache_tokens > 0) return pages_for(options.cache_tokens);
  return std::max(pages_for(context), kCacheBytes / static_cast<int64_t>(layout.page_bytes()));
}

}  // namespace

// Every step is at most two passes through the model: one over the last tokens of all sequences that answer (and what is guessed to follow), one over up to
// prefill_chunk tokens of prompts, first come first served. A token's result does not depend on what shares its pass.
class Engine::Scheduler {
 public:
  Scheduler(const models::CausalLm& model, const text::Tokenizer& tokenizer, const EngineOptions& options)
      : model_(model), tokenizer_(tokenizer), options_(options),
        pool_(layout_of(model, options), pool_pages(layout_of(model, options), options, model.max_positions())) {
    thread_ = std::thread([this] { loop(); });
  }

  ~Scheduler() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    work_.notify_all();
    thread_.join();
  }

  uint64_t submit(Request request, std::shared_ptr<Receiver> receiver) {
    refuse_impossible(request);
    const std::lock_guard lock(mutex_);
    if (static_cast<int64_t>(queue_.size()) >= options_.max_queue) {
      ++metrics_.refused;
      throw Error(ErrorCode::kBusy, "queue", fmt::format("{} requests are waiting", queue_.size()), "try again later");
    }
    const std::string adapter = request.adapter;
    auto running = std::make_shared<Running>(next_number_, std::move(request), std::move(receiver), tokenizer_);
    if (!adapter.empty()) {
      const auto found = adapters_.find(adapter);
      if (found == adapters_.end()) throw Error(ErrorCode::kNotFound, adapter, "no such adapter is loaded");
      running->adapter = found->second.first;
      running->salt = found->second.second;
    }
    queue_.push_back(std::move(running));
    work_.notify_all();
    return next_number_++;
  }

  void cancel(uint64_t number) {
    const std::lock_guard lock(mutex_);
    const auto mark = [number](const auto& all) {
      for (const auto& running : all)
        if (running->number == number) running->cancelled = true;
    };
    mark(queue_);
    mark(running_);
    work_.notify_all();
  }

  void load_adapter(const std::string& name, std::shared_ptr<const nn::AdapterLayers> layers) {
    const std::lock_guard lock(mutex_);
    adapters_[name] = {std::move(layers), next_salt_++};
  }

  bool unload_adapter(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return adapters_.erase(name) > 0;
  }

  EngineMetrics metrics() {
    const std::lock_guard lock(mutex_);
    EngineMetrics now = metrics_;
    now.waiting = static_cast<int64_t>(queue_.size());
    now.running = static_cast<int64_t>(running_.size());
    return now;
  }

 private:
  using Sequences = std::vector<std::shared_ptr<Running>>;

  int64_t context() const { return std::min(model_.max_positions(), pool_.max_pages() * kPage); }

  void refuse_impossible(const Request& request) const {
    const auto tokens = static_cast<int64_t>(request.prompt.size());
    const int64_t room = context() - (request.single_shot() ? 0 : 1);
    if (tokens == 0) throw Error(ErrorCode::kInvalidInput, "prompt", "it holds no token", "write something to answer");
    if (tokens > room) throw Error(ErrorCode::kInvalidInput, "prompt", fmt::format("{} tokens do not fit a context that takes {}", tokens, room), "shorten it");
    for (const auto* ids : {&request.prompt, &request.prediction})
      for (const int32_t id : *ids)
        if (id < 0 || id >= model_.config().vocab_size)
          throw Error(ErrorCode::kInvalidInput, ids == &request.prompt ? "prompt" : "prediction", fmt::format("token {} is outside the vocabulary of {}", id, model_.config().vocab_size));
    if (request.options.max_tokens < 0) throw Error(ErrorCode::kInvalidInput, "max_tokens", fmt::format("expected 0 or more, found {}", request.options.max_tokens));
    check(request.options.sampler);
  }

  void loop() {
    const autograd::NoGrad no_grad;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        admit();
        while (running_.empty() && !closing_) {
          if (held_) work_.wait_until(lock, *held_);
          else work_.wait(lock, [&] { return closing_ || !queue_.empty(); });
          admit();
        }
        if (closing_) {
          running_.insert(running_.end(), queue_.begin(), queue_.end());
          queue_.clear();
          for (const auto& running : running_) running->cancelled = true;
        }
      }
      sweep();
      {
        const std::lock_guard lock(mutex_);
        if (closing_ && running_.empty() && queue_.empty()) return;
        if (running_.empty()) continue;
      }
      const auto begun = Clock::now();
      step();
      sweep();
      const std::lock_guard lock(mutex_);
      metrics_.busy_seconds += std::chrono::duration<double>(Clock::now() - begun).count();
    }
  }

  // Moves waiting requests into the batch. Single-shot ones may be held until enough of them wait, or the oldest has waited long enough.
  void admit() {
    held_.reset();
    std::deque<std::shared_ptr<Running>> later;
    const auto now = Clock::now();
    const auto patience = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.batch_timeout));
    int64_t shots = 0;
    bool release = closing_;
    for (const auto& waiting : queue_) {
      if (!waiting->request.single_shot()) continue;
      ++shots;
      release = release || waiting->submitted + patience <= now;
    }
    release = release || shots >= options_.max_batch;
    while (!queue_.empty()) {
      auto next = std::move(queue_.front());
      queue_.pop_front();
      const bool hold = next->request.single_shot() && !release && !next->cancelled;
      if (hold || static_cast<int64_t>(running_.size()) >= options_.max_batch) {
        if (hold && !held_) held_ = next->submitted + patience;  // the first is the oldest
        later.push_back(std::move(next));
        continue;
      }
      next->outcome.queue_seconds = std::chrono::duration<double>(now - next->submitted).count();
      running_.push_back(std::move(next));
    }
    queue_ = std::move(later);
  }

  // Reports and lets go of what is over or cancelled.
  void sweep() {
    Sequences done;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& running : running_) {
        if (running->cancelled && !running->over) running->end(Finish::kCancelled);
        if (running->over) done.push_back(running);
      }
      std::erase_if(running_, [](const auto& running) { return running->over; });
      for (const auto& running : done) {
        ++(running->outcome.error ? metrics_.failed : running->outcome.finish == Finish::kCancelled ? metrics_.cancelled : metrics_.finished);
        metrics_.prompt_tokens += running->prompt_tokens();
        metrics_.reused_tokens += running->outcome.reused_tokens;
        metrics_.answer_tokens += running->produced;
        metrics_.guessed_tokens += running->outcome.guessed_tokens;
        metrics_.taken_tokens += running->outcome.taken_tokens;
      }
    }
    for (const auto& running : done) {
      let_go(*running);
      if (options_.draft && running->produced > 0) recent_.add(running->salt, running->ids, running->request.prompt.size());
      running->report();
    }
  }

  void let_go(Running& running) {
    for (KvPool::Page* page : running.pages) pool_.release(page);
    running.pages.clear();
  }

  void step() {
    Sequences answering, reading;
    for (const auto& running : running_) (running->decodes() ? answering : reading).push_back(running);
    // Rows of one adapter side by side.
    std::stable_sort(answering.begin(), answering.end(), [](const auto& a, const auto& b) { return a->salt < b->salt; });
    pass(answering, true);
    pass(reading, false);
  }

  // Finds what an earlier prompt left of this one's beginning. Its last token is always computed: its logits are needed.
  void reuse(Running& running) {
    if (running.computed > 0 || !running.pages.empty() || running.request.prompt_logprobs || running.request.embed) return;
    const std::span<const int32_t> ids(running.ids);
    while (running.computed + kPage < running.prompt_tokens()) {
      KvPool::Page* page = pool_.find(running.pages.empty() ? nullptr : running.pages.back(), ids.subspan(static_cast<size_t>(running.computed), kPage), running.salt);
      if (!page) break;
      running.pages.push_back(page);
      running.computed += kPage;
    }
    running.remembered = static_cast<int64_t>(running.pages.size());
    running.outcome.reused_tokens = running.computed;
  }

  // Full pages of prompt tokens. Answers are not remembered: they were computed token by token, which rounds otherwise.
  void remember(Running& running) {
    for (; (running.remembered + 1) * kPage <= std::min(running.computed, running.prompt_tokens()); ++running.remembered) {
      const auto at = static_cast<size_t>(running.remembered);
      running.pages[at] = pool_.remember(running.pages[at], at ? running.pages[at - 1] : nullptr, std::span<const int32_t>(running.ids).subspan(at * kPage, kPage), running.salt);
    }
  }

  // Room for `tokens` tokens; the youngest others give theirs back when there is none, and are computed again later.
  bool make_room(Running& running, int64_t tokens, const Sequences& keep) {
    while (static_cast<int64_t>(running.pages.size()) < pages_for(tokens)) {
      if (KvPool::Page* page = pool_.take()) {
        running.pages.push_back(page);
        continue;
      }
      const auto victim = std::find_if(running_.rbegin(), running_.rend(), [&](const auto& other) {
        return !other->pages.empty() && other->number > running.number && std::find(keep.begin(), keep.end(), other) == keep.end();
      });
      if (victim == running_.rend()) return false;
      let_go(**victim);
      (*victim)->begin_again();
    }
    return true;
  }

  // One pass over some of the sequences: their last tokens, or what fits prefill_chunk of their prompts.
  void pass(const Sequences& candidates, bool one_by_one) {
    Sequences chosen;
    std::vector<BatchCache::Part> parts;
    int64_t rows = 0;
    for (const auto& running : candidates) {
      if (one_by_one && !running->decodes()) continue;  // gave its pages back meanwhile
      if (!one_by_one) reuse(*running);
      int64_t n = running->tokens() - running->computed;
      if (!one_by_one) n = std::min(n, options_.prefill_chunk - rows);
      if (n <= 0) continue;
      if (!make_room(*running, running->computed + n, chosen)) continue;
      if (one_by_one) {
        // Guesses take no page, which another sequence might come to lack.
        const int64_t room = std::min(context() - 1, static_cast<int64_t>(running->pages.size()) * kPage) - running->tokens();
        running->guess(static_cast<int64_t>(candidates.size()), options_.draft ? room : 0, recent_.of(running->salt), model_.config().moe.has_value());
        n += static_cast<int64_t>(running->guessed.size());
      }
      parts.push_back({&running->pages, running->computed, n});
      chosen.push_back(running);
      rows += n;
    }
    if (chosen.empty()) return;
    try {
      compute(chosen, parts, rows, one_by_one);
    } catch (const Error& error) {
      for (const auto& running : chosen) running->fail(error);
    } catch (const std::exception& error) {
      for (const auto& running : chosen) running->fail(Error(ErrorCode::kInternal, "engine", error.what()));
    }
    const std::lock_guard lock(mutex_);
    ++metrics_.steps;
    metrics_.batch_rows += rows;
  }

  void compute(const Sequences& chosen, const std::vector<BatchCache::Part>& parts, int64_t rows, bool one_by_one) {
    std::vector<int32_t> ids, positions, ends{0};
    for (size_t s = 0; s < chosen.size(); ++s) {
      for (int64_t i = parts[s].past; i < parts[s].past + parts[s].count; ++i) {
        ids.push_back(chosen[s]->token(i));
        positions.push_back(static_cast<int32_t>(i));
      }
      ends.push_back(static_cast<int32_t>(ids.size()));
    }
    const nn::Sequence sequence{Tensor::from({rows}, std::span<const int32_t>(ids)), Tensor::from({rows}, std::span<const int32_t>(positions)),
                                Tensor::from({static_cast<int64_t>(ends.size())}, std::span<const int32_t>(ends))};
    std::vector<nn::RowAdapter> adapters;
    for (size_t s = 0; s < chosen.size(); ++s) {
      if (!chosen[s]->adapter) continue;
      if (!adapters.empty() && adapters.back().end == ends[s] && adapters.back().layers == chosen[s]->adapter.get()) adapters.back().end = ends[s + 1];
      else adapters.push_back({ends[s], ends[s + 1], chosen[s]->adapter.get()});
    }
    nn::Pass plain;
    plain.row_adapters = adapters.empty() ? nullptr : &adapters;
    BatchCache cache(pool_.layout(), parts, one_by_one);
    std::optional<ops::RowByRow> row_by_row;
    if (one_by_one) row_by_row.emplace();
    const Tensor hidden = model_.hidden(sequence, plain, &cache).value();
    if (!one_by_one) row_by_row.emplace();  // logits are always made row by row

    Sequences sampling;
    std::vector<int64_t> firsts;  // rows whose logits are wanted: of each, from this one to the end of its part
    for (size_t s = 0; s < chosen.size(); ++s) {
      Running& running = *chosen[s];
      running.computed += one_by_one ? 1 : parts[s].count;  // guessed tokens count once they are known to be right
      if (!one_by_one) remember(running);
      if (running.request.embed) add_hidden(running, hidden.rows(ends[s], ends[s + 1]));
      else if (running.request.prompt_logprobs && parts[s].past < running.prompt_tokens()) show_prompt(running, hidden.rows(ends[s], ends[s + 1]), parts[s].past);
      if (running.computed < running.tokens()) continue;
      if (running.request.single_shot()) {
        finish_single_shot(running);
      } else {
        sampling.push_back(chosen[s]);
        firsts.push_back(one_by_one ? ends[s] : ends[s + 1] - 1);
      }
    }
    if (!sampling.empty()) sample(sampling, firsts, hidden);
  }

  // Of each sequence, rows of `hidden` from firsts[i] on: of its last token and of those guessed.
  void sample(const Sequences& sampling, const std::vector<int64_t>& firsts, const Tensor& hidden) {
    std::vector<int64_t> begins{0};  // of each sequence's logits
    for (const auto& running : sampling) begins.push_back(begins.back() + 1 + static_cast<int64_t>(running->guessed.size()));
    Tensor picked = hidden;
    if (begins.back() != hidden.size(0)) {
      picked = Tensor::empty({begins.back(), hidden.size(1)}, hidden.dtype());
      for (size_t i = 0; i < sampling.size(); ++i) {
        const int64_t n = begins[i + 1] - begins[i];
        const Tensor from = hidden.rows(firsts[i], firsts[i] + n);
        std::memcpy(picked.rows(begins[i], begins[i] + n).raw_mutable(), from.raw(), from.bytes());
      }
    }
    const Tensor logits = model_.logits(ops::Variable(picked)).value();
    const int64_t vocab = logits.size(1);
    auto* z = logits.data_mutable<float>();
    ops::threads().run(static_cast<int64_t>(sampling.size()), [&](int64_t i, int) {
      Running& running = *sampling[static_cast<size_t>(i)];
      try {
        running.next_tokens(z + begins[static_cast<size_t>(i)] * vocab, vocab, context());
      } catch (const Error& error) {
        running.fail(error);
      } catch (const std::exception& error) {
        running.fail(Error(ErrorCode::kInternal, "sampling", error.what()));
      }
    });
  }

  void show_prompt(Running& running, const Tensor& hidden, int64_t first) {
    for (int64_t at = 0; at < hidden.size(0); at += kLogitRows) {
      const int64_t n = std::min(kLogitRows, hidden.size(0) - at);
      const Tensor logits = model_.logits(ops::Variable(hidden.rows(at, at + n))).value();
      running.prompt_logits(logits.data<float>(), first + at, n, logits.size(1));
    }
  }

  static void add_hidden(Running& running, const Tensor& hidden) {
    running.hidden_sum.resize(static_cast<size_t>(hidden.size(1)));
    const Tensor values = hidden.dtype() == DType::kF32 ? hidden : ops::convert(ops::Variable(hidden), DType::kF32).value();
    for (int64_t r = 0; r < values.size(0); ++r)
      for (size_t c = 0; c < running.hidden_sum.size(); ++c) running.hidden_sum[c] += values.data<float>()[static_cast<size_t>(r) * running.hidden_sum.size() + c];
  }

  static void finish_single_shot(Running& running) {
    if (running.request.embed) {
      double square = 0;
      for (const float x : running.hidden_sum) square += static_cast<double>(x) * x;
      const float scale = square > 0 ? static_cast<float>(1 / std::sqrt(square)) : 0;
      for (float& x : running.hidden_sum) x *= scale;
      running.outcome.embedding = std::move(running.hidden_sum);
    }
    running.end(running.request.embed ? Finish::kStop : Finish::kLength);
  }

  const models::CausalLm& model_;
  const text::Tokenizer& tokenizer_;
  const EngineOptions options_;
  KvPool pool_;           // of the engine's thread
  RecentAnswers recent_;  // too
  std::mutex mutex_;    // of everything below
  std::condition_variable work_;
  std::deque<std::shared_ptr<Running>> queue_;
  Sequences running_;   // changed by the engine's thread alone, in order of arrival
  std::optional<Clock::time_point> held_;  // when the oldest held request is due
  EngineMetrics metrics_;
  std::map<std::string, std::pair<std::shared_ptr<const nn::AdapterLayers>, uint64_t>> adapters_;  // and the salt of each
  uint64_t next_number_ = 1, next_salt_ = 1;
  bool closing_ = false;
  std::thread thread_;
};

EngineMetrics& EngineMetrics::operator+=(const EngineMetrics& o) {
  waiting += o.waiting, running += o.running, finished += o.finished, refused += o.refused, cancelled += o.cancelled, failed += o.failed;
  prompt_tokens += o.prompt_tokens, reused_tokens += o.reused_tokens, answer_tokens += o.answer_tokens;
  guessed_tokens += o.guessed_tokens, taken_tokens += o.taken_tokens;
  steps += o.steps, batch_rows += o.batch_rows, busy_seconds += o.busy_seconds;
  return *this;
}

Engine::Engine(std::shared_ptr<const models::CausalLm> model, const text::Tokenizer& tokenizer, const EngineOptions& options)
    : model_(std::move(model)), scheduler_(std::make_unique<Scheduler>(*model_, tokenizer, options)) {}

Engine::~Engine() = default;

uint64_t Engine::submit(Request request, std::shared_ptr<Receiver> receiver) { return scheduler_->submit(std::move(request), std::move(receiver)); }
void Engine::cancel(uint64_t number) { scheduler_->cancel(number); }
void Engine::load_adapter(const std::string& name, std::shared_ptr<const nn::AdapterLayers> layers) { scheduler_->load_adapter(name, std::move(layers)); }
bool Engine::unload_adapter(const std::string& name) { return scheduler_->unload_adapter(name); }
EngineMetrics Engine::metrics() const { return scheduler_->metrics(); }

}  // namespace hone::infer
