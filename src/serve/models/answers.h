// From a request to a stream of answer parts: one model, one prompt, one sink.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "serve/models/pool.h"
#include "serve/models/splitter.h"

namespace hone::serve {

/// Takes an answer apart from any API. Called on the engine's thread, one call after another: it must return at once.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  /// One token and what became certain with it (often nothing). False: nobody wants the rest.
  virtual bool on_token(const infer::TokenEvent& token, const Part& part) = 0;
  /// Once, last: what was held back, and how it ended. The sink is dropped afterwards.
  virtual void on_end(const Part& rest, const infer::Outcome& outcome) = 0;
};

/// One answer that is being made.
class OpenAnswer : public infer::Receiver, public std::enable_shared_from_this<OpenAnswer> {
 public:
  OpenAnswer(std::shared_ptr<ModelPool::Lease> lease, const SplitOptions& split, std::shared_ptr<AnswerSink> sink)
      : splitter_(split), sink_(std::move(sink)), lease_(std::move(lease)) {}
  bool on_token(const infer::TokenEvent& event) override;
  void on_done(const infer::Outcome& outcome) override;
  /// Ends it soon; from any thread.
  void cancel();

 private:
  friend class Answers;
  Splitter splitter_;
  std::shared_ptr<AnswerSink> sink_;
  std::atomic<bool> cancelled_ = false;
  std::mutex mutex_;  // guards what follows
  std::shared_ptr<ModelPool::Lease> lease_;
  uint64_t number_ = 0;
};

/// All open answers of a server.
class Answers {
 public:
  /// Hands a prompt to the lease's engine. Throws what Engine::submit throws; the sink then hears nothing. Several answers may
  /// share a lease.
  std::shared_ptr<OpenAnswer> start(std::shared_ptr<ModelPool::Lease> lease, infer::Request request, const SplitOptions& split, std::shared_ptr<AnswerSink> sink);
  /// Ends all, with kCancelled.
  void cancel_all();

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<OpenAnswer>> open_;
};

}  // namespace hone::serve
