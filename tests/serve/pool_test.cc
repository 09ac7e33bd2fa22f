// Models in memory: loaded once, shared, kept for a while, given up, replaced; and the end.
#include "serve/models/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>

#include "infer/generate.h"
#include "io/peft.h"
#include "serve/model_files.h"
#include "serve/models/embedding.h"

namespace hone::serve {
namespace {

using namespace std::chrono_literals;

class ChangingCatalog : public Catalog {
 public:
  void set(ModelEntry entry) {
    const std::lock_guard lock(mutex_);
    entries_[entry.name] = std::move(entry);
  }
  std::vector<ModelEntry> list() const override { return {}; }
  ModelEntry resolve(const std::string& name) const override {
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(name); found != entries_.end()) return found->second;
    throw unknown_model(name, {});
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, ModelEntry> entries_;
};

float apart(const std::vector<float>& a, const std::vector<float>& b) {
  float most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

class PoolTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"a", "b", "c"}) catalog_.set(describe_model(name, folder_.model(std::string(name) + ".gguf").string()));
  }
  static PoolOptions options(int64_t max_models = 3, double keep_alive = 300) {
    PoolOptions made;
    made.max_models = max_models;
    made.keep_alive = keep_alive;
    made.activation = DType::kF32;
    made.engine.cache_tokens = 1024;
    return made;
  }
  static std::set<std::string> names(const ModelPool& pool) {
    std::set<std::string> found;
    for (const auto& one : pool.loaded()) found.insert(one.entry.name);
    return found;
  }

  ModelFolder folder_;
  ChangingCatalog catalog_;
};

TEST_F(PoolTest, ManyRequestsLoadAModelOnce) {
  ModelPool pool(catalog_, options());
  std::vector<std::future<const Resident*>> asked;
  std::vector<ModelPool::Lease> leases(8);
  for (auto& lease : leases) asked.push_back(std::async(std::launch::async, [&] { return &*(lease = pool.acquire("a", std::nullopt)); }));
  std::set<const Resident*> found;
  for (auto& one : asked) found.insert(one.get());
  EXPECT_EQ(found.size(), 1u);
  EXPECT_EQ(pool.loads(), 1);
  EXPECT_EQ(pool.loaded().at(0).uses, 8);
  EXPECT_EQ(pool.loaded().at(0).context, 512);
  leases.clear();
  EXPECT_EQ(pool.loaded().at(0).uses, 0);
}

TEST_F(PoolTest, ALeaseMoves) {
  ModelPool pool(catalog_, options());
  ModelPool::Lease first = pool.acquire("a", std::nullopt);
  EXPECT_GT(first.load_seconds(), 0);
  ModelPool::Lease second = std::move(first);
  EXPECT_FALSE(first);
  EXPECT_EQ(second->entry.name, "a");
  second = pool.acquire("a", std::nullopt);
  EXPECT_EQ(second.load_seconds(), 0);
  EXPECT_EQ(pool.loaded().at(0).uses, 1);
  second.release();
  second.release();
  EXPECT_EQ(pool.loaded().at(0).uses, 0);
}

TEST_F(PoolTest, KeepAlive) {
  ModelPool pool(catalog_, options(3, 0.2));
  pool.acquire("a", std::nullopt);
  EXPECT_EQ(names(pool), std::set<std::string>{"a"});
  pool.acquire("b", -1.0);
  EXPECT_TRUE(eventually([&] { return names(pool) == std::set<std::string>{"b"}; }));
  EXPECT_LT(pool.loaded().at(0).expires_in, 0);
  pool.acquire("b", 0.0);
  EXPECT_TRUE(eventually([&] { return names(pool).empty(); }));
  {
    const ModelPool::Lease held = pool.acquire("c", 0.0);
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(names(pool), std::set<std::string>{"c"}) << "what is in use stays";
  }
  EXPECT_TRUE(eventually([&] { return names(pool).empty(); }));
  EXPECT_EQ(pool.loads(), 3);
}

TEST_F(PoolTest, UnloadedModelsLeaveNoMemoryBehind) {
  ModelPool pool(catalog_, options());
  const size_t before = memory_use().in_use;
  {
    const ModelPool::Lease lease = pool.acquire("a", std::nullopt);
    EXPECT_GT(memory_use().in_use, before);
    infer::Request request;  // its activations are large enough for the arena
    request.prompt.assign(400, 1);
    request.options.max_tokens = 1;
    infer::generate(lease->engine(), std::move(request), {});
    EXPECT_GT(memory_use().cached, 0u);
  }
  pool.unload("a");
  EXPECT_TRUE(eventually([&] { return names(pool).empty() && memory_use().in_use == before && memory_use().cached == 0; })) << memory_use().cached;
}

TEST_F(PoolTest, UnloadGivesUp) {
  ModelPool pool(catalog_, options());
  EXPECT_EQ(code_of([&] { pool.unload("none"); }), ErrorCode::kNotFound);
  pool.unload("a");  // it is not there: nothing happens
  ModelPool::Lease held = pool.acquire("a", std::nullopt);
  pool.unload("a");
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(names(pool).size(), 1u);
  held.release();
  EXPECT_TRUE(eventually([&] { return names(pool).empty(); }));
}

TEST_F(PoolTest, NoMoreThanMaxModels) {
  ModelPool pool(catalog_, options(2));
  ModelPool::Lease a = pool.acquire("a", std::nullopt), b = pool.acquire("b", std::nullopt);
  EXPECT_EQ(code_of([&] { pool.acquire("c", std::nullopt); }), ErrorCode::kBusy);
  a.release();
  b.release();
  pool.acquire("a", std::nullopt);  // so that b is the one that was not used for longest
  pool.acquire("c", std::nullopt);
  EXPECT_EQ(names(pool), (std::set<std::string>{"a", "c"}));
}

TEST_F(PoolTest, NamesOfOneBaseShareIt) {
  ModelEntry other = catalog_.resolve("a");
  other.name = "other";
  other.system = "be brief";
  other.digest = std::string(64, '1');
  catalog_.set(other);
  ModelPool pool(catalog_, options(1));
  const ModelPool::Lease a = pool.acquire("a", std::nullopt), shared = pool.acquire("other", std::nullopt);
  EXPECT_EQ(a->base, shared->base);
  EXPECT_EQ(shared->entry.system, "be brief");
  EXPECT_EQ(pool.loaded().size(), 2u);
  EXPECT_EQ(pool.loaded()[0].weights, pool.loaded()[1].weights);
  EXPECT_EQ(code_of([&] { pool.acquire("b", std::nullopt); }), ErrorCode::kBusy);
}

TEST_F(PoolTest, ReplacedFilesAreLoadedAnew) {
  ModelPool pool(catalog_, options());
  ModelPool::Lease old = pool.acquire("a", std::nullopt);
  const auto path = folder_.model("a2.gguf", 2);
  catalog_.set(describe_model("a", path.string()));
  const ModelPool::Lease fresh = pool.acquire("a", std::nullopt);
  EXPECT_NE(&*old, &*fresh);
  EXPECT_EQ(old->engine().model().config().hidden_size, 64);
  EXPECT_EQ(fresh->engine().model().config().hidden_size, 128);
  EXPECT_EQ(pool.loaded().size(), 2u) << "the old files answer what they have begun";
  old.release();
  EXPECT_TRUE(eventually([&] { return pool.loaded().size() == 1; }));
}

TEST_F(PoolTest, WhatCannotBeLoadedHoldsNobodyUp) {
  ModelEntry broken = catalog_.resolve("a");
  broken.name = "broken";
  broken.base = (folder_.path() / "none.gguf").string();
  broken.digest = std::string(64, '2');
  catalog_.set(broken);
  ModelPool pool(catalog_, options());
  std::vector<std::future<ErrorCode>> asked;
  for (int i = 0; i < 4; ++i) asked.push_back(std::async(std::launch::async, [&] { return code_of([&] { pool.acquire("broken", std::nullopt); }); }));
  for (auto& one : asked) EXPECT_EQ(one.get(), ErrorCode::kNotFound);
  EXPECT_EQ(names(pool).size(), 0u);
  EXPECT_TRUE(pool.acquire("a", std::nullopt)) << "the base that it shares is loaded by the next one";
}

TEST_F(PoolTest, AnAdapterJoinsItsBase) {
  io::LoraAdapter adapter;
  adapter.rank = 2;
  adapter.alpha = 4;
  adapter.target_modules = {"q_proj"};
  Tensor a = Tensor::zeros({2, 64}, DType::kF32), b = Tensor::zeros({64, 2}, DType::kF32);
  adapter.pairs = {{"model.layers.0.self_attn.q_proj", a, b, 4}};
  const auto folder = folder_.path() / "tuned";
  std::filesystem::create_directories(folder);
  io::write_peft(folder, adapter);
  ModelEntry tuned = catalog_.resolve("a");
  tuned.name = "tuned";
  tuned.adapter = folder;
  tuned.digest = std::string(64, '3');
  catalog_.set(tuned);
  ModelPool pool(catalog_, options());
  const ModelPool::Lease base = pool.acquire("a", std::nullopt);
  {
    const ModelPool::Lease lease = pool.acquire("tuned", 0.0);
    EXPECT_EQ(lease->base, base->base);
    EXPECT_FALSE(lease->adapter.empty());
    EXPECT_EQ(lease->adapter_bytes, (2 * 64 + 64 * 2) * sizeof(float));
  }
  EXPECT_TRUE(eventually([&] { return names(pool) == std::set<std::string>{"a"}; }));
  const ModelPool::Lease again = pool.acquire("tuned", std::nullopt);
  EXPECT_EQ(again->base, base->base);
  EXPECT_EQ(pool.loads(), 3);
}

TEST_F(PoolTest, MetricsOutliveTheirModels) {
  ModelPool pool(catalog_, options());
  {
    const ModelPool::Lease lease = pool.acquire("a", 0.0);
    struct Waiting : infer::Receiver {
      std::promise<void> done;
      bool on_token(const infer::TokenEvent&) override { return true; }
      void on_done(const infer::Outcome&) override { done.set_value(); }
    };
    const auto waiting = std::make_shared<Waiting>();
    infer::Request request;
    request.prompt = {1, 2, 3};
    request.options.max_tokens = 2;
    lease->engine().submit(std::move(request), waiting);
    waiting->done.get_future().wait();
    EXPECT_EQ(pool.metrics().prompt_tokens, 3);
  }
  EXPECT_TRUE(eventually([&] { return names(pool).empty(); }));
  EXPECT_EQ(pool.metrics().prompt_tokens, 3);
  EXPECT_EQ(pool.metrics().finished, 1);
}

TEST_F(PoolTest, VectorsOfMoreTextsThanTheQueueHolds) {
  PoolOptions narrow = options();
  narrow.engine.max_queue = 2;
  narrow.engine.max_batch = 2;
  ModelPool pool(catalog_, narrow);
  const auto ask = [&](std::vector<std::vector<int32_t>> texts, bool gone) {
    auto answer = std::make_shared<std::promise<std::pair<Vectors, std::optional<Error>>>>();
    embed(std::make_shared<ModelPool::Lease>(pool.acquire("a", std::nullopt)), std::move(texts), [gone] { return gone; },
          [answer](Vectors vectors, const std::optional<Error>& failure) { answer->set_value({std::move(vectors), failure}); });
    return answer->get_future().get();
  };
  std::vector<std::vector<int32_t>> texts;
  for (int32_t i = 0; i < 50; ++i) texts.push_back({i % 5, 7, 8});
  const auto [vectors, failure] = ask(texts, false);
  ASSERT_FALSE(failure);
  ASSERT_EQ(vectors.size(), texts.size());
  for (size_t i = 0; i < vectors.size(); ++i) {
    ASSERT_EQ(vectors[i].size(), 64u);
    EXPECT_LT(apart(vectors[i], vectors[i % 5]), 1e-4f) << "each text has its own place";
  }
  EXPECT_GT(apart(vectors[0], vectors[1]), 1e-3f);
  EXPECT_TRUE(ask({}, false).first.empty());
  EXPECT_EQ(ask(texts, true).second->code(), ErrorCode::kInterrupted) << "nobody waits for them";
  EXPECT_EQ(code_of([&] { ask({{}}, false); }), ErrorCode::kInvalidInput);
  EXPECT_EQ(code_of([&] { ask({std::vector<int32_t>(513, 1)}, false); }), ErrorCode::kInvalidInput);
  EXPECT_TRUE(eventually([&] { return pool.loaded().at(0).uses == 0; }));
}

TEST_F(PoolTest, CloseWaitsForLeases) {
  ModelPool pool(catalog_, options());
  ModelPool::Lease held = pool.acquire("a", std::nullopt);
  std::atomic<bool> closed = false;
  std::thread closing([&] {
    pool.close();
    closed = true;
  });
  EXPECT_TRUE(eventually([&] {
    try {
      pool.acquire("a", std::nullopt);
    } catch (const Error& error) {
      return error.code() == ErrorCode::kBusy;
    }
    return false;
  }));
  EXPECT_FALSE(closed);
  held.release();
  closing.join();
  EXPECT_TRUE(pool.loaded().empty());
}

}  // namespace
}  // namespace hone::serve
