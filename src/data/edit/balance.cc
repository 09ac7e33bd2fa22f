#include "data/edit/balance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "data/permutation.h"

namespace hone::data {
namespace {

std::vector<int64_t> clamped(const std::vector<int64_t>& sizes, int64_t low, int64_t high) {
  std::vector<int64_t> out;
  for (const int64_t size : sizes) out.push_back(std::clamp(size, low, high));
  return out;
}

}  // namespace

BalanceBy parse_balance_by(std::string_view word) {
  if (word == "down") return BalanceBy::kDown;
  if (word == "up") return BalanceBy::kUp;
  if (word == "both") return BalanceBy::kBoth;
  throw Error(ErrorCode::kInvalidInput, "--by", fmt::format("unknown way \"{}\"", word), "down leaves rows out, up repeats some, both does either, weights writes a file per class");
}

bool in_band(const std::vector<int64_t>& sizes, double low, double high) {
  const double mean = static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), int64_t{0})) / static_cast<double>(sizes.size());
  return std::all_of(sizes.begin(), sizes.end(), [&](int64_t n) { return static_cast<double>(n) >= low * mean && static_cast<double>(n) <= high * mean; });
}

std::vector<int64_t> balanced_sizes(const std::vector<int64_t>& sizes, BalanceBy by, double low, double high) {
  if (in_band(sizes, low, high)) return sizes;
  int64_t least = *std::min_element(sizes.begin(), sizes.end()), most = *std::max_element(sizes.begin(), sizes.end());
  const int64_t smallest = least, largest = most;
  if (by == BalanceBy::kBoth) {
    const double mean = static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), int64_t{0})) / static_cast<double>(sizes.size());
    for (int step = 20; step > 0; --step) {  // the widest part of the band that holds after the mean has moved
      const double part = step / 20.0;
      const auto from = static_cast<int64_t>(std::ceil(mean * (1 - (1 - low) * part))), to = static_cast<int64_t>(std::floor(mean * (1 + (high - 1) * part)));
      if (from <= to && from >= 1)
        if (auto found = clamped(sizes, from, to); in_band(found, low, high)) return found;
    }
    const auto all = std::max<int64_t>(1, std::llround(mean));
    return clamped(sizes, all, all);
  }
  // c / mean(c) and mean(c) / smallest grow with the cap c, so the band holds up to some cap; the same, mirrored, for a floor.
  while (least < most) {
    const int64_t middle = by == BalanceBy::kDown ? least + (most - least + 1) / 2 : least + (most - least) / 2;
    const bool good = in_band(by == BalanceBy::kDown ? clamped(sizes, smallest, middle) : clamped(sizes, middle, largest), low, high);
    if (by == BalanceBy::kDown) (good ? least : most) = good ? middle : middle - 1;
    else (good ? most : least) = good ? middle : middle + 1;
  }
  return by == BalanceBy::kDown ? clamped(sizes, smallest, least) : clamped(sizes, least, largest);
}

BalancePlan plan_balance(const Rows& rows, const RowClasses& classes, BalanceBy by, double low, double high, uint64_t seed, bool keep_unclassified) {
  std::vector<std::vector<uint32_t>> members(classes.names.size());
  BalancePlan plan;
  plan.times.resize(rows.size());
  for (uint32_t row = 0; row < rows.size(); ++row) {
    const int32_t c = classes.of_row[row];
    if (c >= 0) {
      members[static_cast<size_t>(c)].push_back(row);
    } else if (rows.usable(row)) {
      ++plan.unclassified;
      plan.times[row] = keep_unclassified;
    }
  }
  std::vector<size_t> with_rows;
  for (size_t c = 0; c < members.size(); ++c) {
    if (members[c].empty()) continue;
    with_rows.push_back(c);
    plan.names.push_back(classes.names[c]);
    plan.before.push_back(static_cast<int64_t>(members[c].size()));
  }
  if (with_rows.size() < 2)
    throw Error(ErrorCode::kInvalidInput, rows.files().front().report().path, fmt::format("{} class has rows by {}: there is nothing to balance", with_rows.size(), classes.how), "name a field or rules that tell at least two classes apart");
  plan.after = balanced_sizes(plan.before, by, low, high);
  for (size_t i = 0; i < with_rows.size(); ++i) {
    const auto& rows_of_class = members[with_rows[i]];
    const auto n = static_cast<int64_t>(rows_of_class.size());
    const Permutation order(Rng{seed, Rng::kSample, static_cast<uint32_t>(i)}, rows_of_class.size());
    for (int64_t k = 0; k < n; ++k) plan.times[rows_of_class[order.at(static_cast<uint64_t>(k))]] = static_cast<uint32_t>(plan.after[i] / n + (k < plan.after[i] % n));
  }
  return plan;
}

}  // namespace hone::data
