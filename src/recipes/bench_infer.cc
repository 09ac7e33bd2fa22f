#include "recipes/bench_infer.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <semaphore>

#include "base/cpu_features.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "infer/engine.h"
#include "kernels/table.h"
#include "recipes/model_files.h"
#include "recipes/tuned_model.h"
#include "train/preflight.h"

namespace hone::recipes {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// When one request's tokens came.
class Times : public infer::Receiver {
 public:
  bool on_token(const infer::TokenEvent&) override {
    at.push_back(Clock::now());
    return true;
  }
  void on_done(const infer::Outcome& outcome) override {
    result = outcome;
    done.release();
  }
  std::vector<Clock::time_point> at;
  infer::Outcome result;
  std::binary_semaphore done{0};
};

infer::Request random_request(int64_t vocab, int64_t prompt, int64_t tokens, uint32_t stream) {
  infer::Request r;
  const Rng rng{0, stream, 0};
  for (int64_t i = 0; i < prompt; ++i) r.prompt.push_back(static_cast<int32_t>(rng.bits(static_cast<uint64_t>(i)) % static_cast<uint64_t>(vocab)));
  r.options.sampler.temperature = 0;
  r.options.max_tokens = tokens;
  return r;
}

// All at once; returns when all are done.
std::vector<std::shared_ptr<Times>> ask(infer::Engine& engine, int64_t sequences, int64_t prompt, int64_t tokens, uint32_t* stream) {
  std::vector<std::shared_ptr<Times>> all;
  for (int64_t s = 0; s < sequences; ++s)
    engine.submit(random_request(engine.model().config().vocab_size, prompt, tokens, (*stream)++), all.emplace_back(std::make_shared<Times>()));
  for (const auto& times : all) {
    times->done.acquire();
    if (times->result.error) throw *times->result.error;
  }
  return all;
}

}  // namespace

BenchInferResult bench_infer(const BenchInferOptions& o) {
  constexpr int64_t kDecodePrompt = 128;
  const auto start = Clock::now();
  const ModelFiles files = open_model(o.model, "");
  const auto model = std::make_shared<models::CausalLm>(load_tuned(files, {.panels = true}, {}));
  BenchInferResult r;
  r.load_seconds = seconds_since(start);
  r.model = o.model;
  r.cpu = cpu_model();
  r.isa = name(kernels::kernels().isa);
  r.threads = ThreadPool::global().size();
  infer::EngineOptions options;
  options.draft = false;  // random words repeat themselves as no answer does
  options.max_batch = std::max<int64_t>(1, *std::max_element(o.sequences.begin(), o.sequences.end()));
  infer::Engine engine(model, files.tokenizer, options);
  uint32_t stream = 0;
  ask(engine, 1, 32, 2, &stream);  // touches the weights once
  const auto check_interrupt = [&] {
    if (o.interrupted && o.interrupted()) throw Error(ErrorCode::kInterrupted, "bench", "interrupted");
  };
  std::vector<double> rates;
  for (int64_t i = 0; i < o.repeat; ++i) {
    check_interrupt();
    const auto begun = Clock::now();
    ask(engine, 1, o.prompt, 1, &stream);
    rates.push_back(static_cast<double>(o.prompt) / seconds_since(begun));
  }
  r.prompt_tokens_per_second = median(rates);
  for (const int64_t sequences : o.sequences) {
    std::vector<double> speeds, firsts;
    for (int64_t i = 0; i < o.repeat; ++i) {
      check_interrupt();
      const auto begun = Clock::now();
      const auto all = ask(engine, sequences, kDecodePrompt, o.tokens, &stream);
      auto from = all[0]->at.front(), to = all[0]->at.back();
      for (const auto& times : all) from = std::max(from, times->at.front()), to = std::max(to, times->at.back());
      int64_t counted = 0;
      for (const auto& times : all) counted += std::count_if(times->at.begin(), times->at.end(), [&](const auto at) { return at > from; });
      speeds.push_back(static_cast<double>(counted) / std::max(1e-9, std::chrono::duration<double>(to - from).count()));
      firsts.push_back(std::chrono::duration<double>(from - begun).count());
    }
    r.decode.push_back({sequences, median(speeds), median(firsts)});
  }
  r.peak_memory = train::peak_resident_memory();
  return r;
}

}  // namespace hone::recipes
