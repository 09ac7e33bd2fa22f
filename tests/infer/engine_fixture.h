// What tests of the engine share: a receiver that keeps everything, and the golden models.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "base/rng.h"
#include "infer/engine.h"
#include "infer/numbers_tokenizer.h"
#include "models/config.h"

namespace hone::infer {

using Ids = std::vector<int32_t>;

// Keeps everything, and can be waited for.
class Kept : public Receiver {
 public:
  bool on_token(const TokenEvent& event) override {
    const std::lock_guard lock(mutex_);
    (event.of_prompt ? prompt : answer).push_back(event);
    text += event.text;
    changed_.notify_all();
    return answer.size() < cancel_after;
  }
  void on_done(const Outcome& result) override {
    const std::lock_guard lock(mutex_);
    outcome = result;
    text += result.text;
    changed_.notify_all();
  }
  const Outcome& wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return outcome.has_value(); });
    return *outcome;
  }
  Ids ids() const {
    Ids all;
    for (const TokenEvent& event : answer) all.push_back(event.id);
    return all;
  }

  size_t cancel_after = 1 << 30;
  std::vector<TokenEvent> prompt, answer;
  std::string text;
  std::optional<Outcome> outcome;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

// Prompts of many lengths; those of one `family` begin alike.
inline Ids prompt(int64_t vocab, int64_t tokens, uint32_t family) {
  Ids ids;
  for (int64_t i = 0; i < tokens; ++i) ids.push_back(static_cast<int32_t>(Rng{3, i < tokens - 2 ? family : 100 + static_cast<uint32_t>(tokens), 0}.bits(static_cast<uint64_t>(i)) % static_cast<uint64_t>(vocab)));
  return ids;
}
inline Request request(Ids prompt, int64_t tokens) {
  Request r;
  r.prompt = std::move(prompt);
  r.options.sampler.temperature = 0;
  r.options.max_tokens = tokens;
  return r;
}
inline Ids ask(Engine& engine, Request r) {
  const auto kept = std::make_shared<Kept>();
  engine.submit(std::move(r), kept);
  EXPECT_FALSE(kept->wait().error) << kept->outcome->error->message();
  return kept->ids();
}

class EngineFixture : public ::testing::TestWithParam<const char*> {
 protected:
  std::shared_ptr<const models::CausalLm> load(DType activation, bool gguf = false) const {
    models::LoadOptions options;
    options.activation = activation;
    return std::make_shared<models::CausalLm>(models::CausalLm::load(*models::ModelSource::open(gguf ? folder_ / "model.gguf" : folder_), options));
  }
  const std::filesystem::path folder_ = std::filesystem::path(HONE_GOLDEN_DIR) / "models" / GetParam();
};

}  // namespace hone::infer
