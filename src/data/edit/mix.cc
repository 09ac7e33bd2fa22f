#include "data/edit/mix.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "data/permutation.h"

namespace hone::data {

std::vector<int64_t> shares_of(const std::vector<double>& weights, int64_t total) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  HONE_CHECK(sum > 0, "weights sum to {}", sum);
  std::vector<int64_t> counts;
  std::vector<std::pair<double, size_t>> rest;
  int64_t given = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double exact = static_cast<double>(total) * weights[i] / sum;
    counts.push_back(static_cast<int64_t>(std::floor(exact)));
    given += counts.back();
    rest.emplace_back(-(exact - std::floor(exact)), i);
  }
  std::sort(rest.begin(), rest.end());
  for (size_t i = 0; given < total; ++i, ++given) ++counts[rest[i % rest.size()].second];
  return counts;
}

std::vector<uint32_t> plan_mix(const Rows& rows, const std::vector<int64_t>& counts, uint64_t seed) {
  std::vector<uint32_t> plan;
  for (size_t file = 0; file < counts.size(); ++file) {
    std::vector<uint32_t> usable;
    for (uint32_t row = rows.begin(file); row < rows.begin(file) + rows.files()[file].rows(); ++row)
      if (rows.usable(row)) usable.push_back(row);
    if (counts[file] > 0 && usable.empty()) throw Error(ErrorCode::kInvalidInput, rows.files()[file].report().path, "no row can be used", "correct the rows, or leave the file out");
    for (int64_t i = 0; i < counts[file];) {
      const auto pass = static_cast<uint32_t>(i / static_cast<int64_t>(usable.size()));
      const Permutation order(Rng{seed + file * 0x9E3779B97F4A7C15u, Rng::kMix, pass}, usable.size());
      for (uint64_t k = 0; k < usable.size() && i < counts[file]; ++k, ++i) plan.push_back(usable[order.at(k)]);
    }
  }
  if (plan.empty()) return plan;
  const Permutation order(Rng{seed, Rng::kShuffle, 0}, plan.size());
  std::vector<uint32_t> shuffled(plan.size());
  for (uint64_t i = 0; i < plan.size(); ++i) shuffled[i] = plan[order.at(i)];
  return shuffled;
}

}  // namespace hone::data
