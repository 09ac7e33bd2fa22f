// Models in memory: loaded when a request names them, kept for a while after the last one, then given up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "infer/engine.h"
#include "recipes/model_files.h"
#include "serve/models/catalog.h"
#include "serve/schema/json_filter.h"
#include "serve/schema/schema_cache.h"

namespace hone::serve {

struct PoolOptions {
  infer::EngineOptions engine;
  DType activation = DType::kBF16;
  double keep_alive = 300;  // seconds after the last request; negative: for ever
  int64_t max_models = 3;   // bases in memory at the same time; adapters are not counted
};

/// The weights that several names may stand on: the names of one base share its engine, and with it the batch.
struct Base {
  explicit Base(text::Tokenizer of_model) : tokenizer(std::move(of_model)) {}
  /// Gives the memory of the weights back to the system.
  ~Base();
  text::Tokenizer tokenizer;
  std::unique_ptr<infer::Engine> engine;  // ends before its tokenizer does
  size_t bytes = 0;                       // of the weights

  /// Made when the first request asks for JSON.
  std::once_flag tokens_once;
  std::shared_ptr<const TokenTable> tokens;
  SchemaCache schemas;
};

/// One name in memory: a base, and the adapter that its requests go through. Immutable once it is loaded, but for the engine,
/// which is thread-safe.
struct Resident {
  ModelEntry entry;
  recipes::ModelFiles files;
  std::shared_ptr<Base> base;
  std::string adapter;       // its name in the engine; empty: the base itself
  size_t adapter_bytes = 0;
  bool tools = false;        // its chat template shows tools

  infer::Engine& engine() const { return *base->engine; }
  int64_t context() const { return engine().model().max_positions(); }
  /// Holds answers to JSON: `format` is "json" or a schema. Throws what Schema::parse throws.
  std::shared_ptr<infer::TokenFilter> json_filter(const Json& format) const;
  /// The bytes of its tokens; made by the first request that needs them.
  std::shared_ptr<const TokenTable> token_table() const;
  ~Resident();
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

  /// Loads the model unless it is there; waits meanwhile. An adapter joins the base that another name brought into memory, unless
  /// it changes what the engine cannot change row by row (every weight, routed experts): then it gets a base of its own. Files
  /// that were replaced since are loaded anew, and answers in progress end with the old ones. `keep_alive` sets how long the
  /// model stays from now on. Throws Error{kNotFound}, Error{kBusy} when max_models others are all in use, and what loading throws.
  Lease acquire(const std::string& name, std::optional<double> keep_alive);
  /// Gives the model up as soon as no request uses it; nothing happens when it is not loaded. Throws what resolving the name throws.
  void unload(const std::string& name);
  /// The same for the very name that a loaded model has; reads no file, so that the model may be damaged or gone.
  void expire(const std::string& name);

  struct Loaded {
    ModelEntry entry;
    std::string weights;    // names with the same share one base
    size_t bytes = 0;       // of the base
    size_t adapter_bytes = 0;
    int64_t context = 0;
    double expires_in = 0;  // seconds from now; negative: never
    int64_t uses = 0;
  };
  std::vector<Loaded> loaded() const;
  /// Of all engines, those that were given up included.
  infer::EngineMetrics metrics() const;
  int64_t loads() const;

  /// Refuses new requests with Error{kBusy}, waits until every lease is dropped, and gives all models up.
  void close();

 private:
  friend class Lease;
  using Clock = std::chrono::steady_clock;
  void reap();
  void release(Slot* slot);
  std::unique_ptr<Resident> load(const ModelEntry& entry, Slot* slot);
  std::shared_ptr<Base> base_of(Slot* slot, const recipes::ModelFiles& files, const std::filesystem::path& tuned);
  bool make_room(std::unique_lock<std::mutex>& lock, const std::string& weights, const std::string& name);
  std::unique_ptr<Slot> take(Slot* slot);

  const Catalog& catalog_;
  const PoolOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Slot>> slots_;
  infer::EngineMetrics past_;
  std::set<std::string> alone_;  // identities of models that need a base of their own
  int64_t loads_ = 0, adapters_ = 0;
  bool closing_ = false;
  std::thread reaper_;
};

}  // namespace hone::serve
