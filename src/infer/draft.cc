#include "infer/draft.h"

#include <algorithm>

namespace hone::infer {
namespace {

// Time of a pass of so many rows, where one row takes 1: between what a model within the cache and one in memory take (docs/performance.md).
constexpr std::array<double, Draft::kMostRows + 1> kPassCost{0, 1, 1.08, 1.18, 1.24, 1.42, 1.58, 1.76, 1.9};
constexpr double kCostlyRow = 0.6;  // of each further row where rows read weights of their own: experts are about half of what a token reads (reckoned, not measured)
constexpr size_t kCompared = 16;    // tokens before a place, at most
constexpr double kMemory = 0.1;     // weight of the latest guess in what is known of guesses
constexpr double kForget = 0.02;    // of what is known, at every place where no guess was worth its cost: later it is tried again

// The number of guessed tokens that brings most tokens in a given time, where a guessed one is right with probability p.
int64_t best_length(double p, int64_t sequences, int64_t most, bool costly_rows) {
  int64_t best = 0;
  double best_rate = 0, tokens = 0, all_right = 1;
  for (int64_t length = 0; length <= most && sequences * (1 + length) <= Draft::kMostRows; ++length, all_right *= p) {
    const int64_t rows = sequences * (1 + length);
    tokens += all_right;
    const double cost = costly_rows ? 1 + kCostlyRow * static_cast<double>(rows - 1) : kPassCost[static_cast<size_t>(rows)];
    const double rate = tokens / cost;
    if (rate > best_rate) best = length, best_rate = rate;
  }
  return best;
}

// A place in a text before which the last tokens of an answer stand, too.
struct Place {
  size_t alike = 0, next = 0;  // so many of them; the token behind them
};

// The latest of those with most tokens alike, among the first `end` of `text`.
Place place_alike(std::span<const int32_t> text, size_t end, std::span<const int32_t> tail) {
  Place best;
  if (tail.empty()) return best;
  for (size_t at = end; at-- > 0 && best.alike < kCompared;) {
    if (text[at] != tail.back()) continue;
    const size_t most = std::min({kCompared, at + 1, tail.size()});
    size_t alike = 1;
    while (alike < most && text[at - alike] == tail[tail.size() - 1 - alike]) ++alike;
    if (alike > best.alike) best = {alike, at + 1};
  }
  return best;
}

}  // namespace

std::vector<int32_t> Draft::guess(std::span<const int32_t> ids, int64_t sequences, int64_t most, std::span<const int32_t> recent, bool costly_rows) {
  std::vector<int32_t> guessed;
  if (most <= 0 || sequences > kMostRows / 2 || ids.empty()) return guessed;
  const std::span<const int32_t> answer = ids.subspan(std::min(ids.size(), prompt_tokens_));
  Place predicted = place_alike(prediction_, prediction_.size(), answer);
  if (predicted.alike > 0 && predicted.alike == answer.size() && predicted.next == answer.size()) predicted.alike = kCompared;  // all of the answer, so far
  const Place here = place_alike(ids, ids.size() - 1, ids), before = place_alike(recent, recent.size(), ids);
  Place place = predicted;
  std::span<const int32_t> text = prediction_;
  if (here.alike > place.alike) place = here, text = ids;
  if (before.alike > place.alike) place = before, text = recent;
  if (place.alike == 0) return guessed;
  kind_ = std::min(place.alike, kKinds) - 1;
  const auto length = static_cast<size_t>(best_length(hits_[kind_], sequences, most, costly_rows));
  if (length == 0) hits_[kind_] += kForget * (kHits[kind_] - hits_[kind_]);
  const bool of_itself = text.data() == ids.data();
  for (size_t at = place.next; guessed.size() < length && (at < text.size() || of_itself); ++at)
    guessed.push_back(at < text.size() ? text[at] : guessed[at - text.size()]);  // an answer that repeats itself up to its end goes on so
  return guessed;
}

void Draft::judge(int64_t offered, int64_t taken) {
  double& hits = hits_[kind_];
  for (int64_t i = 0; i < offered; ++i) hits += kMemory * ((i < taken ? 1 : 0) - hits);
}

void RecentAnswers::add(uint64_t adapter, std::span<const int32_t> ids, size_t prompt_tokens) {
  const auto known = std::find_if(all_.begin(), all_.end(), [&](const Answers& a) { return a.adapter == adapter; });
  if (known != all_.end()) std::rotate(known, known + 1, all_.end());
  else all_.push_back({adapter, {}});
  if (all_.size() > kAdapters) all_.erase(all_.begin());
  std::vector<int32_t>& tokens = all_.back().tokens;
  const std::span<const int32_t> added = ids.subspan(prompt_tokens - std::min(prompt_tokens, kCompared));
  tokens.insert(tokens.end(), added.begin(), added.end());
  if (tokens.size() > kTokens) tokens.erase(tokens.begin(), tokens.end() - static_cast<std::ptrdiff_t>(kTokens));
}

std::span<const int32_t> RecentAnswers::of(uint64_t adapter) const {
  for (const Answers& answers : all_)
    if (answers.adapter == adapter) return answers.tokens;
  return {};
}

}  // namespace hone::infer
