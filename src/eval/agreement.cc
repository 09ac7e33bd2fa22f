#include "eval/agreement.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"

namespace hone::eval {
namespace {

// The different values, ascending.
std::map<double, size_t> numbered(const std::vector<std::vector<double>>& rows) {
  std::map<double, size_t> values;
  for (const auto& row : rows)
    for (const double v : row)
      if (!std::isnan(v)) values.emplace(v, 0);
  size_t next = 0;
  for (auto& [value, index] : values) index = next++;
  return values;
}

}  // namespace

std::optional<double> krippendorff_alpha(const RatingTable& table, Level level) {
  std::vector<std::vector<double>> units;
  for (const auto& row : table) {
    std::vector<double> given;
    std::copy_if(row.begin(), row.end(), std::back_inserter(given), [](double v) { return !std::isnan(v); });
    if (given.size() > 1) units.push_back(std::move(given));
  }
  const auto values = numbered(units);
  const size_t n = values.size();
  if (n < 2) return std::nullopt;
  // Coincidences: every ordered pair of ratings within a unit, weighted so that a unit counts as often as it has ratings.
  std::vector<double> pairs(n * n), totals(n);
  double all = 0;
  for (const auto& unit : units) {
    std::vector<double> count(n);
    for (const double v : unit) ++count[values.at(v)];
    for (size_t c = 0; c < n; ++c)
      for (size_t k = 0; k < n; ++k) pairs[c * n + k] += count[c] * (count[k] - (c == k)) / static_cast<double>(unit.size() - 1);
  }
  for (size_t c = 0; c < n; ++c)
    for (size_t k = 0; k < n; ++k) totals[c] += pairs[c * n + k], all += pairs[c * n + k];
  std::vector<double> value(n);
  for (const auto& [v, index] : values) value[index] = v;
  const auto distance = [&](size_t c, size_t k) {
    if (c == k) return 0.0;
    if (level == Level::kNominal) return 1.0;
    double d = value[c] - value[k];
    if (level == Level::kOrdinal) {
      d = -(totals[c] + totals[k]) / 2;
      for (size_t g = std::min(c, k); g <= std::max(c, k); ++g) d += totals[g];
    }
    return d * d;
  };
  double observed = 0, expected = 0;
  for (size_t c = 0; c < n; ++c)
    for (size_t k = 0; k < n; ++k) {
      observed += pairs[c * n + k] * distance(c, k);
      expected += totals[c] * totals[k] * distance(c, k);
    }
  if (!(expected > 0)) return std::nullopt;
  return 1 - (all - 1) * observed / expected;
}

std::optional<double> cohen_kappa(std::span<const double> a, std::span<const double> b, Weights weights) {
  HONE_CHECK(a.size() == b.size(), "{} and {} ratings", a.size(), b.size());
  if (a.empty()) return std::nullopt;
  const auto values = numbered({{a.begin(), a.end()}, {b.begin(), b.end()}});
  const size_t n = values.size();
  std::vector<double> both(n * n), of_a(n), of_b(n);
  for (size_t i = 0; i < a.size(); ++i) {
    const size_t c = values.at(a[i]), k = values.at(b[i]);
    ++both[c * n + k], ++of_a[c], ++of_b[k];
  }
  std::vector<double> value(n);
  for (const auto& [v, index] : values) value[index] = v;
  double observed = 0, expected = 0;
  for (size_t c = 0; c < n; ++c)
    for (size_t k = 0; k < n; ++k) {
      const double apart = std::abs(value[c] - value[k]);
      const double weight = weights == Weights::kNone ? static_cast<double>(c != k) : weights == Weights::kLinear ? apart : apart * apart;
      observed += weight * both[c * n + k];
      expected += weight * of_a[c] * of_b[k] / static_cast<double>(a.size());
    }
  if (!(expected > 0)) return std::nullopt;
  return 1 - observed / expected;
}

std::optional<double> fleiss_kappa(const RatingTable& table) {
  std::vector<std::vector<double>> units;
  for (const auto& row : table)
    if (row.size() > 1 && std::none_of(row.begin(), row.end(), [](double v) { return std::isnan(v); })) units.push_back(row);
  if (units.empty()) return std::nullopt;
  const auto values = numbered(units);
  const auto raters = static_cast<double>(units[0].size()), count = static_cast<double>(units.size());
  std::vector<double> share(values.size());
  double observed = 0, expected = 0;
  for (const auto& unit : units) {
    std::vector<double> n(values.size());
    for (const double v : unit) ++n[values.at(v)];
    double agreeing = 0;
    for (size_t c = 0; c < n.size(); ++c) {
      agreeing += n[c] * (n[c] - 1);
      share[c] += n[c] / (raters * count);
    }
    observed += agreeing / (raters * (raters - 1)) / count;
  }
  for (const double p : share) expected += p * p;
  if (!(expected < 1)) return std::nullopt;
  return (observed - expected) / (1 - expected);
}

}  // namespace hone::eval
