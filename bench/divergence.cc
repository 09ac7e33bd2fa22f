// How far a model's answers as hone computes them lie from the same model's with F32 activations: Kullback-Leibler divergence of the next token's
// distribution, token by token along given texts. usage: hone_bench_divergence MODEL TEXTS.json [TOKENS]; TEXTS: a JSON list of strings, of
// which those with at least TOKENS (160) tokens count.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <semaphore>

#include "infer/engine.h"
#include "recipes/model_files.h"
#include "recipes/tuned_model.h"

namespace {

using namespace hone;

constexpr size_t kPrompt = 8;      // tokens that are read as a prompt; the others are answered
constexpr int64_t kTogether = 8;   // texts

using LogProbabilities = std::vector<std::vector<float>>;  // (tokens answered, V)

// Makes the answer the text, and keeps what the model thought of it.
class Dictated : public infer::TokenFilter {
 public:
  Dictated(const std::vector<int32_t>& ids, LogProbabilities& kept) : ids_(ids), kept_(kept) {}
  void apply(std::span<float> logits) override {
    const float top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float z : logits) sum += std::exp(static_cast<double>(z - top));
    const float total = top + static_cast<float>(std::log(sum));
    auto& row = kept_.emplace_back();
    for (const float z : logits) row.push_back(z - total);
    std::fill(logits.begin(), logits.end(), -INFINITY);
    logits[static_cast<size_t>(ids_[at_])] = 0;
  }
  void accept(int32_t) override { ++at_; }

 private:
  const std::vector<int32_t>& ids_;
  LogProbabilities& kept_;
  size_t at_ = kPrompt;
};

class Done : public infer::Receiver {
 public:
  bool on_token(const infer::TokenEvent&) override { return true; }
  void on_done(const infer::Outcome& outcome) override {
    error = outcome.error;
    done.release();
  }
  std::optional<Error> error;
  std::binary_semaphore done{0};
};

std::vector<LogProbabilities> answer(const recipes::ModelFiles& files, const models::LoadOptions& load, const std::vector<std::vector<int32_t>>& texts) {
  infer::EngineOptions options;
  options.max_batch = kTogether;
  infer::Engine engine(std::make_shared<models::CausalLm>(recipes::load_tuned(files, load, {})), files.tokenizer, options);
  std::vector<LogProbabilities> all(texts.size());
  std::vector<std::shared_ptr<Done>> receivers;
  for (size_t i = 0; i < texts.size(); ++i) {
    infer::Request request;
    request.prompt.assign(texts[i].begin(), texts[i].begin() + kPrompt);
    request.options.max_tokens = static_cast<int64_t>(texts[i].size() - kPrompt);
    request.options.sampler.temperature = 0;
    request.filter = std::make_shared<Dictated>(texts[i], all[i]);
    engine.submit(std::move(request), receivers.emplace_back(std::make_shared<Done>()));
  }
  for (const auto& receiver : receivers) {
    receiver->done.acquire();
    if (receiver->error) throw *receiver->error;
  }
  return all;
}

void compare(const std::vector<LogProbabilities>& reference, const std::vector<LogProbabilities>& found) {
  std::vector<double> divergences;
  double sum = 0;
  size_t same = 0;
  for (size_t s = 0; s < reference.size(); ++s)
    for (size_t t = 0; t < reference[s].size(); ++t) {
      const auto &p = reference[s][t], &q = found[s][t];
      double kl = 0;
      for (size_t v = 0; v < p.size(); ++v) kl += std::exp(static_cast<double>(p[v])) * (static_cast<double>(p[v]) - q[v]);
      divergences.push_back(kl);
      sum += kl;
      same += std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin();
    }
  std::sort(divergences.begin(), divergences.end());
  const auto n = static_cast<double>(divergences.size());
  fmt::print("{} tokens: KL mean {:.6f}, median {:.6f}, 99th of 100 {:.5f}, worst {:.4f}; same first choice {:.2f} %\n", divergences.size(), sum / n, divergences[divergences.size() / 2],
             divergences[divergences.size() * 99 / 100], divergences.back(), 100 * static_cast<double>(same) / n);
}

}  // namespace

int main(int argc, char** argv) {
  size_t length = 160;
  const std::string_view wanted = argc > 3 ? argv[3] : "160";
  if (argc < 3 || argc > 4 || std::from_chars(wanted.data(), wanted.data() + wanted.size(), length).ec != std::errc{} || length <= kPrompt)
    return fmt::print(stderr, "usage: hone_bench_divergence MODEL TEXTS.json [TOKENS, more than {}]\n", kPrompt), 2;
  try {
    const recipes::ModelFiles files = recipes::open_model(argv[1], "");
    std::vector<std::vector<int32_t>> texts;
    for (const auto& text : nlohmann::json::parse(std::ifstream(argv[2]))) {
      auto ids = files.tokenizer.encode(text.get<std::string>());
      if (ids.size() < length) continue;
      ids.resize(length);
      texts.push_back(std::move(ids));
    }
    if (texts.empty()) return fmt::print(stderr, "{}: no text has {} tokens\n", argv[2], length), 2;
    models::LoadOptions exact, usual;
    exact.activation = DType::kF32;
    usual.panels = true;
    const auto reference = answer(files, exact, texts);
    compare(reference, answer(files, usual, texts));
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}: {}\n{}\n", error.where(), error.message(), error.hint());
    return error.exit_code();
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", argv[2], error.what());
    return 1;
  }
}
