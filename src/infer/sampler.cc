#include "infer/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace hone::infer {
namespace {

// The first of the largest finite logits; −1 when there is none.
int32_t likeliest(std::span<const float> logits) {
  constexpr size_t kBlock = 128;  // looked through quickly, and again one by one if it holds something better
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  int32_t best = -1;
  float top = -kInfinity;
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const std::span<const float> block = logits.subspan(begin, std::min(kBlock, logits.size() - begin));
    int better = 0;
    for (const float z : block) better |= static_cast<int>(z > top) & static_cast<int>(z < kInfinity);
    if (!better) continue;
    for (size_t i = 0; i < block.size(); ++i)
      if (block[i] > top && block[i] < kInfinity) top = block[i], best = static_cast<int32_t>(begin + i);
  }
  return best;
}

[[noreturn]] void nothing_finite() { throw Error(ErrorCode::kInternal, "sampler", "no logit is finite", "the model or its adapter is damaged"); }

}  // namespace

void check(const SamplerOptions& o) {
  auto require = [](bool ok, const char* option, auto value, const char* expected) {
    if (!ok) throw Error(ErrorCode::kInvalidInput, option, fmt::format("expected {}, found {}", expected, value), "hone run --help lists the sampling options");
  };
  require(o.temperature >= 0 && o.temperature <= 100, "temperature", o.temperature, "0 to 100");
  require(o.top_k >= 0, "top_k", o.top_k, "0 (no limit) or more");
  require(o.top_p > 0 && o.top_p <= 1, "top_p", o.top_p, "a probability above 0, at most 1");
  require(o.min_p >= 0 && o.min_p <= 1, "min_p", o.min_p, "a probability from 0 to 1");
  require(o.repeat_penalty > 0 && o.repeat_penalty <= 10, "repeat_penalty", o.repeat_penalty, "above 0, at most 10");
  require(o.repeat_last_n >= 0, "repeat_last_n", o.repeat_last_n, "0 or more");
}

Sampler::Sampler(const SamplerOptions& options) : options_(options) { check(options); }

int32_t Sampler::sample(std::span<const float> logits, std::span<const int32_t> history) {
  const uint64_t draw = draws_++;
  if (options_.repeat_penalty != 1) {
    penalized_.assign(logits.begin(), logits.end());
    const size_t n = std::min(history.size(), static_cast<size_t>(options_.repeat_last_n));
    std::vector<int32_t> recent(history.end() - static_cast<std::ptrdiff_t>(n), history.end());
    std::sort(recent.begin(), recent.end());
    recent.erase(std::unique(recent.begin(), recent.end()), recent.end());
    for (int32_t id : recent) {
      if (id < 0 || static_cast<size_t>(id) >= penalized_.size()) continue;
      float& z = penalized_[static_cast<size_t>(id)];
      z = z > 0 ? z / options_.repeat_penalty : z * options_.repeat_penalty;
    }
    logits = penalized_;
  }
  if (options_.temperature == 0) {
    const int32_t best = likeliest(logits);
    if (best < 0) nothing_finite();
    return best;
  }
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i)
    if (std::isfinite(logits[i])) candidates_.push_back({logits[i], static_cast<int32_t>(i)});
  if (candidates_.empty()) nothing_finite();

  auto better = [](const Candidate& a, const Candidate& b) { return a.logit > b.logit || (a.logit == b.logit && a.id < b.id); };
  size_t kept = candidates_.size();
  if (options_.top_k > 0) kept = std::min(kept, static_cast<size_t>(options_.top_k));
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(kept), candidates_.end(), better);
  candidates_.resize(kept);

  const float top = candidates_[0].logit;
  double total = 0;
  for (Candidate& c : candidates_) {
    c.logit = std::exp((c.logit - top) / options_.temperature);  // now a weight, the best one 1
    total += c.logit;
  }
  double mass = 0;
  size_t last = 0;
  for (; last < candidates_.size(); ++last) {
    if (last > 0 && (mass >= options_.top_p * total || candidates_[last].logit < options_.min_p)) break;
    mass += candidates_[last].logit;
  }
  const Rng rng{options_.seed, Rng::kSample, 0};
  double left = rng.uniform(draw) * mass;
  for (size_t i = 0; i + 1 < last; ++i) {
    left -= candidates_[i].logit;
    if (left < 0) return candidates_[i].id;
  }
  return candidates_[last - 1].id;
}

}  // namespace hone::infer
