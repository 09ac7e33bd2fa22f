#include "eval/ratings.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include "base/error.h"

namespace hone::eval {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

// Unit × rater of one dimension, units and raters in order of name.
RatingTable table_of(const std::vector<const Rating*>& ratings, size_t dimension) {
  std::map<std::pair<std::string, std::string>, size_t> units;
  std::map<std::string, size_t> raters;
  for (const Rating* r : ratings) units.emplace(std::pair(r->item, r->model), 0), raters.emplace(r->rater, 0);
  size_t next = 0;
  for (auto& [unit, index] : units) index = next++;
  next = 0;
  for (auto& [rater, index] : raters) index = next++;
  RatingTable table(units.size(), std::vector<double>(raters.size(), kMissing));
  for (const Rating* r : ratings)
    if (r->values[dimension]) table[units.at({r->item, r->model})][raters.at(r->rater)] = r->values[dimension];
  return table;
}

std::optional<double> mean_cohen(const RatingTable& table, Weights weights) {
  double sum = 0, weight = 0;
  const size_t raters = table.empty() ? 0 : table[0].size();
  for (size_t i = 0; i < raters; ++i)
    for (size_t j = i + 1; j < raters; ++j) {
      std::vector<double> a, b;
      for (const auto& unit : table)
        if (!std::isnan(unit[i]) && !std::isnan(unit[j])) a.push_back(unit[i]), b.push_back(unit[j]);
      const auto kappa = cohen_kappa(a, b, weights);
      if (!kappa) continue;
      sum += *kappa * static_cast<double>(a.size());
      weight += static_cast<double>(a.size());
    }
  return weight > 0 ? std::optional(sum / weight) : std::nullopt;
}

DimensionSummary dimension_of(const std::vector<const Rating*>& ratings, size_t dimension) {
  DimensionSummary d;
  for (const Rating* r : ratings) {
    if (!r->values[dimension]) continue;
    ++d.ratings;
    ++d.histogram[static_cast<size_t>(r->values[dimension] - 1)];
    d.mean += r->values[dimension];
  }
  if (d.ratings) d.mean /= static_cast<double>(d.ratings);
  const RatingTable table = table_of(ratings, dimension);
  d.alpha_nominal = krippendorff_alpha(table, Level::kNominal);
  d.alpha_ordinal = krippendorff_alpha(table, Level::kOrdinal);
  d.alpha_interval = krippendorff_alpha(table, Level::kInterval);
  d.fleiss = fleiss_kappa(table);
  d.cohen = mean_cohen(table, Weights::kNone);
  d.cohen_quadratic = mean_cohen(table, Weights::kQuadratic);
  return d;
}

}  // namespace

RatingSummary summarize(const std::vector<Rating>& ratings, const std::optional<std::string>& model) {
  std::vector<const Rating*> chosen;
  std::set<std::string> items, raters;
  for (const Rating& r : ratings) {
    if (model && r.model != *model) continue;
    chosen.push_back(&r);
    items.insert(r.item);
    raters.insert(r.rater);
  }
  RatingSummary summary;
  summary.items = static_cast<int64_t>(items.size());
  summary.raters = static_cast<int64_t>(raters.size());
  for (size_t d = 0; d < summary.dimensions.size(); ++d) summary.dimensions[d] = dimension_of(chosen, d);
  return summary;
}

std::vector<std::string> rated_models(const RatingSet& set) {
  std::set<std::string> models;
  for (const Rating& r : set.ratings) models.insert(r.model);
  return {models.begin(), models.end()};
}

std::map<std::string, double> item_means(const std::vector<Rating>& ratings, const std::string& model, const std::array<double, 3>& weights) {
  struct Sums {
    std::array<double, 3> sum{}, count{};
  };
  std::map<std::string, Sums> items;
  for (const Rating& r : ratings) {
    if (r.model != model) continue;
    Sums& s = items[r.item];
    for (size_t d = 0; d < 3; ++d)
      if (r.values[d]) s.sum[d] += r.values[d], ++s.count[d];
  }
  std::map<std::string, double> means;
  for (const auto& [item, s] : items) {
    double sum = 0, weight = 0;
    for (size_t d = 0; d < 3; ++d)
      if (s.count[d] > 0) sum += weights[d] * s.sum[d] / s.count[d], weight += weights[d];
    if (weight > 0) means[item] = sum / weight;
  }
  return means;
}

double sign_test(int64_t a, int64_t b) {
  const auto n = static_cast<double>(a + b);
  double p = 0;
  for (int64_t k = 0; k <= std::min(a, b); ++k) {
    const auto i = static_cast<double>(k);
    p += std::exp(std::lgamma(n + 1) - std::lgamma(i + 1) - std::lgamma(n - i + 1) - n * std::log(2.0));
  }
  return std::min(1.0, 2 * p);
}

std::vector<PairwiseSummary> summarize(const std::vector<Preference>& preferences) {
  struct Votes {
    PairwiseSummary summary;
    std::map<std::string, std::map<std::string, double>> by_item;  // item → rater → 0 first, 1 second, 2 tie
    std::set<std::string> raters;                                  // of this pair: who judged other models says nothing about these
  };
  std::map<std::pair<std::string, std::string>, Votes> pairs;
  for (const Preference& p : preferences) {
    const auto [first, second] = std::minmax(p.model_a, p.model_b);
    Votes& votes = pairs[{first, second}];
    votes.summary.first = first;
    votes.summary.second = second;
    ++(p.winner == first ? votes.summary.first_wins : p.winner == second ? votes.summary.second_wins : votes.summary.ties);
    votes.by_item[p.item][p.rater] = p.winner == first ? 0 : p.winner == second ? 1 : 2;
    votes.raters.insert(p.rater);
  }
  std::vector<PairwiseSummary> out;
  for (auto& [names, votes] : pairs) {
    PairwiseSummary& s = votes.summary;
    const auto all = static_cast<double>(s.first_wins + s.second_wins + s.ties);
    s.win_rate = (static_cast<double>(s.second_wins) + static_cast<double>(s.ties) / 2) / all;
    s.p = sign_test(s.first_wins, s.second_wins);
    RatingTable table;
    for (const auto& [item, by_rater] : votes.by_item) {
      auto& row = table.emplace_back();
      for (const std::string& rater : votes.raters) {
        const auto vote = by_rater.find(rater);
        row.push_back(vote == by_rater.end() ? kMissing : vote->second);
      }
    }
    s.fleiss = fleiss_kappa(table);
    out.push_back(s);
  }
  return out;
}

}  // namespace hone::eval
