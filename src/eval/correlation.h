// How two lists of scores go together.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace hone::eval {

/// Each from −1 to 1; nothing when there are fewer than two pairs or one side does not vary. Both sides are equally long.
std::optional<double> pearson(std::span<const double> x, std::span<const double> y);
/// Pearson's of the ranks; equal values share their mean rank.
std::optional<double> spearman(std::span<const double> x, std::span<const double> y);
/// Kendall's τ-b, which corrects for ties; O(n log n) (Knight, 1966).
std::optional<double> kendall_tau_b(std::span<const double> x, std::span<const double> y);

/// 1 for the smallest; equal values share the mean of their ranks.
std::vector<double> ranks(std::span<const double> values);

}  // namespace hone::eval
