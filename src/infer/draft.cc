#include "infer/draft.h"

#include <algorithm>

namespace hone::infer {
namespace {

// Time of a pass of so many rows, where one row takes 1 (docs/performance.md).
constexpr std::array<double, Draft::kMostRows + 1> kPassCost{0, 1, 1.08, 1.18, 1.24, 1.42, 1.58, 1.76, 1.9};
constexpr double kCostlyRow = 0.6;
constexpr double kMemory = 0.1;   // weight of the latest guess
constexpr double kForget = 0.02;  // of what is known, at every place where no guess was worth its cost: later it is tried again

// The number of guessed tokens that brings most tokens in a given time, where a guessed one is right with probability p.
int64_t best_length(double p, int64_t sequences, int64_t most, bool costly_rows) {
  int64_t best = 0;
  double best_rate = 0;
  double tokens = 0, all_right = 1;
  for (int64_t length = 0; length <= most && sequences * (1 + length) <= Draft::kMostRows; ++length, all_right *= p) {
    const int64_t rows = sequences * (1 + length);
    tokens += all_right;
    const double cost = costly_rows ? 1 + kCostlyRow * static_cast<double>(rows - 1) : kPassCost[static_cast<size_t>(rows)];
    const double rate = tokens / cost;
    if (rate > best_rate) best = length, best_rate = rate;
  }
  return best;
}

}  // namespace

std::vector<int32_t> Draft::guess(std::span<const int32_t> ids, int64_t sequences, int64_t most, bool costly_rows) {
  std::vector<int32_t> guessed;
  if (most <= 0 || sequences > kMostRows / 2 || ids.size() < 2) return guessed;
  // The latest earlier place before which most of the last tokens stand, too.
  const size_t last = ids.size() - 1;
  size_t longest = 0, from = 0;
  for (size_t at = last; at-- > 0 && longest < kLongest;) {
    if (ids[at] != ids[last]) continue;
    size_t alike = 1;
    while (alike < kLongest && alike <= at && ids[at - alike] == ids[last - alike]) ++alike;
    if (alike > longest) longest = alike, from = at + 1;
  }
  if (longest == 0) return guessed;
  alike_ = longest - 1;
  const int64_t length = best_length(hits_[alike_], sequences, most, costly_rows);
  if (length == 0) hits_[alike_] += kForget * (kHits[alike_] - hits_[alike_]);
  for (size_t i = 0; i < static_cast<size_t>(length); ++i) guessed.push_back(from + i < ids.size() ? ids[from + i] : guessed[from + i - ids.size()]);
  return guessed;
}

void Draft::judge(int64_t offered, int64_t taken) {
  double& hits = hits_[alike_];
  for (int64_t i = 0; i < offered; ++i) hits += kMemory * ((i < taken ? 1 : 0) - hits);
}

}  // namespace hone::infer
