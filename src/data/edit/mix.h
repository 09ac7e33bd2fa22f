// Rows of several files as one file.
#pragma once

#include <cstdint>
#include <vector>

#include "data/rows.h"

namespace hone::data {

/// How many of `total` rows each weight gets: by largest remainder, so that they sum to `total`.
std::vector<int64_t> shares_of(const std::vector<double>& weights, int64_t total);

/// Row numbers of the mix in its order: counts[f] rows of file f, shuffled by the seed. A file's rows come in a seeded order; one that has fewer than it must give starts again, in another
/// order, so that no row occurs more than once more often than another. Throws Error{kInvalidInput} for a file without usable rows.
std::vector<uint32_t> plan_mix(const Rows& rows, const std::vector<int64_t>& counts, uint64_t seed);

}  // namespace hone::data
