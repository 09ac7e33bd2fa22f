#include "eval/correlation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace hone::eval {
namespace {

double mean(std::span<const double> values) { return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size()); }

// Pairs within runs of equal neighbours: Σ t (t − 1) / 2.
template <class Equal>
double tied_pairs(size_t n, Equal equal) {
  double pairs = 0;
  for (size_t begin = 0; begin < n;) {
    size_t end = begin + 1;
    while (end < n && equal(begin, end)) ++end;
    const auto t = static_cast<double>(end - begin);
    pairs += t * (t - 1) / 2;
    begin = end;
  }
  return pairs;
}

// Sorts `values` and returns how many pairs were the wrong way round.
double sort_counting(std::vector<double>& values, std::vector<double>& space, size_t begin, size_t end) {
  if (end - begin < 2) return 0;
  const size_t middle = begin + (end - begin) / 2;
  double swaps = sort_counting(values, space, begin, middle) + sort_counting(values, space, middle, end);
  size_t left = begin, right = middle;
  for (size_t i = begin; i < end; ++i) {
    const bool take_right = right < end && (left == middle || values[right] < values[left]);
    if (take_right) swaps += static_cast<double>(middle - left);
    space[i] = values[take_right ? right++ : left++];
  }
  std::copy(space.begin() + static_cast<std::ptrdiff_t>(begin), space.begin() + static_cast<std::ptrdiff_t>(end), values.begin() + static_cast<std::ptrdiff_t>(begin));
  return swaps;
}

}  // namespace

std::optional<double> pearson(std::span<const double> x, std::span<const double> y) {
  HONE_CHECK(x.size() == y.size(), "{} and {} values", x.size(), y.size());
  if (x.size() < 2) return std::nullopt;
  const double mx = mean(x), my = mean(y);
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mx) * (x[i] - mx);
    yy += (y[i] - my) * (y[i] - my);
    xy += (x[i] - mx) * (y[i] - my);
  }
  // Equal values may differ from their mean by rounding.
  const auto constant = [](std::span<const double> v) { return std::all_of(v.begin(), v.end(), [&](double other) { return other == v[0]; }); };
  if (constant(x) || constant(y) || !(xx > 0) || !(yy > 0)) return std::nullopt;
  return std::clamp(xy / (std::sqrt(xx) * std::sqrt(yy)), -1.0, 1.0);
}

std::vector<double> ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> out(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) out[order[i]] = static_cast<double>(begin + end + 1) / 2;
    begin = end;
  }
  return out;
}

std::optional<double> spearman(std::span<const double> x, std::span<const double> y) { return pearson(ranks(x), ranks(y)); }

std::optional<double> kendall_tau_b(std::span<const double> x, std::span<const double> y) {
  HONE_CHECK(x.size() == y.size(), "{} and {} values", x.size(), y.size());
  const size_t n = x.size();
  if (n < 2) return std::nullopt;
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return x[a] != x[b] ? x[a] < x[b] : y[a] < y[b]; });
  const double pairs = static_cast<double>(n) * static_cast<double>(n - 1) / 2;
  const double tied_x = tied_pairs(n, [&](size_t i, size_t j) { return x[order[i]] == x[order[j]]; });
  const double tied_both = tied_pairs(n, [&](size_t i, size_t j) { return x[order[i]] == x[order[j]] && y[order[i]] == y[order[j]]; });
  std::vector<double> sorted(n), space(n);
  for (size_t i = 0; i < n; ++i) sorted[i] = y[order[i]];
  const double discordant = sort_counting(sorted, space, 0, n);
  const double tied_y = tied_pairs(n, [&](size_t i, size_t j) { return sorted[i] == sorted[j]; });
  if (tied_x == pairs || tied_y == pairs) return std::nullopt;
  const double balance = pairs - tied_x - tied_y + tied_both - 2 * discordant;  // concordant − discordant
  return std::clamp(balance / (std::sqrt(pairs - tied_x) * std::sqrt(pairs - tied_y)), -1.0, 1.0);
}

}  // namespace hone::eval
