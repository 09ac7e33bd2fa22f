#include "infer/engine.h"

#include <atomic>
#include <chrono>

namespace hone::infer {

using Clock = std::chrono::steady_clock;

struct Engine::Running {
  uint64_t number = 0;
  Request request;
  std::shared_ptr<Receiver> receiver;
  Clock::time_point submitted;
  std::atomic<bool> cancelled = false;
};

Engine::Engine(std::shared_ptr<const models::CausalLm> model, const text::Tokenizer& tokenizer, const EngineOptions& options)
    : model_(std::move(model)), tokenizer_(tokenizer), options_(options), thread_([this] { loop(); }) {}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    for (const auto& running : queue_) running->cancelled = true;
  }
  work_.notify_all();
  thread_.join();
}

uint64_t Engine::submit(Request request, std::shared_ptr<Receiver> receiver) {
  const int64_t context = model_->max_positions();
  if (request.prompt.empty()) throw Error(ErrorCode::kInvalidInput, "prompt", "it holds no token", "write something to answer");
  if (static_cast<int64_t>(request.prompt.size()) >= context)
    throw Error(ErrorCode::kInvalidInput, "prompt", fmt::format("{} tokens leave no room in a context of {}", request.prompt.size(), context), "shorten it");
  if (!request.adapter.empty()) throw Error(ErrorCode::kNotFound, request.adapter, "no such adapter is loaded");
  check(request.options.sampler);
  const std::lock_guard lock(mutex_);
  if (static_cast<int64_t>(queue_.size()) >= options_.max_queue) {
    ++metrics_.refused;
    throw Error(ErrorCode::kBusy, "queue", fmt::format("{} requests are waiting", queue_.size()), "try again later");
  }
  auto running = std::make_shared<Running>();
  running->number = next_number_++;
  running->request = std::move(request);
  running->receiver = std::move(receiver);
  running->submitted = Clock::now();
  queue_.push_back(running);
  work_.notify_all();
  return running->number;
}

void Engine::cancel(uint64_t number) {
  const std::lock_guard lock(mutex_);
  for (const auto& running : queue_)
    if (running->number == number) running->cancelled = true;
}

EngineMetrics Engine::metrics() const {
  const std::lock_guard lock(mutex_);
  EngineMetrics now = metrics_;
  now.waiting = static_cast<int64_t>(queue_.size());
  return now;
}

void Engine::serve(Running& running) {
  Outcome outcome;
  outcome.queue_seconds = std::chrono::duration<double>(Clock::now() - running.submitted).count();
  try {
    SequenceCache cache(model_->config().layers);
    const Generation done = generate(*model_, tokenizer_, running.request.prompt, running.request.options, cache, [&](std::string_view piece) {
      TokenEvent event;
      event.text = piece;
      return !running.cancelled && running.receiver->on_token(event);
    });
    outcome.finish = done.finish;
    outcome.prompt_tokens = done.prompt_tokens;
    outcome.answer_tokens = static_cast<int64_t>(done.ids.size());
    outcome.prefill_seconds = done.prefill_seconds;
    outcome.decode_seconds = done.decode_seconds;
  } catch (const Error& error) {
    outcome.error = error;
  }
  running.receiver->on_done(outcome);
}

void Engine::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const auto running = queue_.front();
    lock.unlock();
    if (running->cancelled) {
      Outcome outcome;
      outcome.finish = Finish::kCancelled;
      running->receiver->on_done(outcome);
    } else {
      serve(*running);
    }
    lock.lock();
    queue_.pop_front();
    ++metrics_.finished;
  }
}

}  // namespace hone::infer
