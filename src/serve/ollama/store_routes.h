// /api/pull, push, create, copy, delete, blobs: the store over HTTP.
#pragma once

#include <atomic>
#include <list>
#include <mutex>
#include <thread>

#include "serve/api/service.h"

namespace hone::serve::ollama {

/// Long work on threads of its own, so that handlers stay free for answers.
class StoreWork {
 public:
  ~StoreWork() { finish(); }
  /// Throws Error{kBusy} when too much runs already, or the server stops.
  void start(std::function<void()> work);
  /// Asks what runs to end.
  void stop() { stopping_ = true; }
  bool stopping() const { return stopping_; }
  /// stop(), and waits.
  void finish();

 private:
  struct Running {
    std::thread thread;
    std::atomic<bool> done = false;
  };
  std::mutex mutex_;
  std::list<Running> running_;
  std::atomic<bool> stopping_ = false;
};

/// For admin keys, where keys are asked. `work` must outlive the router.
void add_store_routes(http::Router& router, Service& service, StoreWork& work);

}  // namespace hone::serve::ollama
