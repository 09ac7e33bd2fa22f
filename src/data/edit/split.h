// Rows set aside, in whole groups.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/rows.h"

namespace hone::data {

struct SplitRules {
  double share = 0;     // of the usable rows, in (0, 1); or
  int64_t count = 0;    // so many rows
  uint64_t seed = 42;
  std::string group;    // a field (see field_of); empty: equal prompts; "near-duplicates": prompts of the similarity or more
  double similarity = 0.8;
};

struct SplitPlan {
  std::vector<bool> held_out;  // by row
  int64_t training_rows = 0, held_out_rows = 0, groups = 0, largest_group = 0;
};

/// Groups go to the held-out side in an order that follows from the seed and the group's own value, as long as they fit; so equal groups never straddle, and the result does
/// not depend on the order of the rows. Rows without the field are grouped by their prompt. Throws Error{kInvalidInput} when no group is small enough.
SplitPlan plan_split(const Rows& rows, const SplitRules& rules, const std::function<bool()>& stop);

}  // namespace hone::data
