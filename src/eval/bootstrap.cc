#include "eval/bootstrap.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"

namespace hone::eval {
namespace {

void add_to(std::vector<double>& sum, std::span<const double> row) {
  for (size_t k = 0; k < row.size(); ++k) sum[k] += row[k];
}

Interval percentiles(std::vector<double> scores, double confidence) {
  std::sort(scores.begin(), scores.end());
  const auto cut = std::min(static_cast<size_t>(static_cast<double>(scores.size()) * (1 - confidence) / 2 + 1e-9), (scores.size() - 1) / 2);
  return {scores[cut], scores[scores.size() - 1 - cut]};
}

// The sums of one resample, for each of `sides`: the same groups are drawn on every side.
std::vector<std::vector<double>> resample(std::span<const RowSums* const> sides, const Resampling& options, int64_t sample) {
  const Rng rng{options.seed, Rng::kBootstrap, static_cast<uint32_t>(sample)};
  std::vector<std::vector<double>> sums;
  for (const RowSums* side : sides) sums.emplace_back(side->size());
  const size_t groups = sides[0]->groups();
  for (size_t i = 0; i < groups; ++i) {
    const size_t drawn = rng.below(i, groups);
    for (size_t s = 0; s < sides.size(); ++s) add_to(sums[s], sides[s]->group(drawn));
  }
  return sums;
}

}  // namespace

void RowSums::add(std::span<const double> row) {
  HONE_CHECK(row.size() == size_, "{} numbers, {} expected", row.size(), size_);
  if (rows_ % group_rows_ == 0) {
    if (groups() == kMaxGroups) {
      for (size_t i = 0; i < kMaxGroups / 2; ++i)
        for (size_t k = 0; k < size_; ++k) groups_[i * size_ + k] = groups_[2 * i * size_ + k] + groups_[(2 * i + 1) * size_ + k];
      groups_.resize(kMaxGroups / 2 * size_);
      group_rows_ *= 2;
    }
    groups_.resize(groups_.size() + size_);
  }
  for (size_t k = 0; k < size_; ++k) groups_[groups_.size() - size_ + k] += row[k];
  add_to(total_, row);
  ++rows_;
}

Interval bootstrap_interval(const RowSums& rows, const Score& score, const Resampling& options) {
  HONE_CHECK(rows.rows() > 0 && options.samples > 0, "{} rows, {} samples", rows.rows(), options.samples);
  const RowSums* const sides[] = {&rows};
  std::vector<double> scores;
  for (int64_t s = 0; s < options.samples; ++s) scores.push_back(score(resample(sides, options, s)[0]));
  return percentiles(std::move(scores), options.confidence);
}

PairedTest paired_test(const RowSums& first, const RowSums& second, const Score& score, const Resampling& options) {
  HONE_CHECK(first.rows() == second.rows() && first.rows() > 0 && options.samples > 0, "{} and {} rows, {} samples", first.rows(), second.rows(), options.samples);
  PairedTest test;
  test.difference = score(second.total()) - score(first.total());
  const RowSums* const sides[] = {&first, &second};
  std::vector<double> differences;
  int64_t extreme = 0;
  for (int64_t s = 0; s < options.samples; ++s) {
    const auto drawn = resample(sides, options, s);
    differences.push_back(score(drawn[1]) - score(drawn[0]));
    // If the models were alike, each row could as well have been the other's: swap at random.
    const Rng rng{options.seed, Rng::kSwap, static_cast<uint32_t>(s)};
    std::vector<double> a(first.size()), b(first.size());
    for (size_t i = 0; i < first.groups(); ++i) {
      const bool swap = rng.bits(i) >> 31;
      add_to(a, (swap ? second : first).group(i));
      add_to(b, (swap ? first : second).group(i));
    }
    // Differences that only rounding tells apart count as equal, and equal ones as no less extreme.
    extreme += std::abs(score(b) - score(a)) >= std::abs(test.difference) - 1e-9 * std::max(1.0, std::abs(test.difference));
  }
  test.interval = percentiles(std::move(differences), options.confidence);
  test.p = static_cast<double>(1 + extreme) / static_cast<double>(1 + options.samples);
  return test;
}

}  // namespace hone::eval
