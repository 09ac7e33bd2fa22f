// Classes brought within a band around their mean.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/quality/classes.h"

namespace hone::data {

/// kDown leaves rows out, kUp repeats rows, kBoth does either and keeps the total about as it is.
enum class BalanceBy { kDown, kUp, kBoth };

/// Throws Error{kInvalidInput} for a word other than down, up, both.
BalanceBy parse_balance_by(std::string_view word);

/// Whether low ≤ n / mean ≤ high for every size.
bool in_band(const std::vector<int64_t>& sizes, double low, double high);

/// The rows each class shall have: all within the band, with as few rows left out (kDown) or repeated (kUp) as that takes. `sizes` are ≥ 1.
std::vector<int64_t> balanced_sizes(const std::vector<int64_t>& sizes, BalanceBy by, double low, double high);

struct BalancePlan {
  std::vector<uint32_t> times;  // by row: how often it is written
  std::vector<std::string> names;
  std::vector<int64_t> before, after;  // by class
  int64_t unclassified = 0;
};

/// Which rows stay or are repeated follows from the seed. Classes without rows are left alone; rows without a class are written once when `keep_unclassified`.
/// Throws Error{kInvalidInput} when there are fewer than two classes with rows.
BalancePlan plan_balance(const Rows& rows, const RowClasses& classes, BalanceBy by, double low, double high, uint64_t seed, bool keep_unclassified);

}  // namespace hone::data
