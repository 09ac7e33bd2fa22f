// Models in memory: loaded when a request names them, kept for a while after the last one, then given up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "infer/engine.h"
#include "recipes/model_files.h"
#include "serve/models/catalog.h"
#include "serve/models/json_filter.h"

namespace hone::serve {

struct PoolOptions {
  infer::EngineOptions engine;
  DType activation = DType::kBF16;
  double keep_alive = 300;  // seconds after the last request; negative: for ever
  int64_t max_models = 3;   // in memory at the same time
};

/// One model in memory. Immutable once it is loaded, but for the engine, which is thread-safe.
struct Resident {
  ModelEntry entry;
  recipes::ModelFiles files;
  std::unique_ptr<infer::Engine> engine;
  size_t bytes = 0;          // of its weights
  bool thinks = false;       // its chat template or vocabulary knows <think>
  bool tools = false;        // its chat template shows tools
  bool enable_thinking = false;  // its chat template takes that switch

  int64_t context() const { return engine->model().max_positions(); }
  /// Holds answers to JSON: `format` is "json" or a schema. Throws what Schema::parse throws.
  std::shared_ptr<infer::TokenFilter> json_filter(const Json& format) const;

  /// Made when the first request asks for JSON.
  struct Tokens {
    std::once_flag once;
    std::shared_ptr<const TokenTable> table;
  };
  std::unique_ptr<Tokens> tokens = std::make_unique<Tokens>();
};

class ModelPool {
 public:
  ModelPool(const Catalog& catalog, PoolOptions options);
  ~ModelPool();
  ModelPool(const ModelPool&) = delete;
  ModelPool& operator=(const ModelPool&) = delete;

  /// A model that stays in memory as long as this exists. May be dropped on any thread, the engine's too.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease() { release(); }
    void release();
    const Resident& operator*() const;
    const Resident* operator->() const { return &**this; }
    explicit operator bool() const { return pool_ != nullptr; }
    double load_seconds() const { return load_seconds_; }  // this acquire waited so long; 0: it was there

   private:
    friend class ModelPool;
    struct Slot* slot_ = nullptr;
    ModelPool* pool_ = nullptr;
    double load_seconds_ = 0;
  };

  /// Loads the model unless it is there; waits meanwhile. `keep_alive` sets how long it stays from now on. Throws
  /// Error{kNotFound}, Error{kBusy} when max_models others are all in use, and what loading throws.
  Lease acquire(const std::string& name, std::optional<double> keep_alive);
  /// Gives the model up as soon as no request uses it; nothing happens when it is not loaded.
  void unload(const std::string& name);

  struct Loaded {
    ModelEntry entry;
    size_t bytes = 0;
    int64_t context = 0;
    double expires_in = 0;  // seconds from now; negative: never
    int64_t uses = 0;
    infer::EngineMetrics metrics;
  };
  std::vector<Loaded> loaded() const;
  /// Counters of the models that were given up, added up.
  infer::EngineMetrics past_metrics() const;
  int64_t loads() const;

  /// Refuses new requests with Error{kBusy}, waits until every lease is dropped, and gives all models up.
  void close();

 private:
  friend class Lease;
  using Clock = std::chrono::steady_clock;
  void reap();
  void release(Slot* slot);
  std::unique_ptr<Resident> load(const ModelEntry& entry) const;
  std::unique_ptr<Slot> take(Slot* slot);

  const Catalog& catalog_;
  const PoolOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Slot>> slots_;
  infer::EngineMetrics past_;
  int64_t loads_ = 0;
  bool closing_ = false;
  std::thread reaper_;
};

}  // namespace hone::serve
