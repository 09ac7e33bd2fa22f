// Inputs that resemble the seeds, each one a function of the seed number and its place alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hone::fuzz {

inline constexpr size_t kMaxInput = size_t{1} << 20;  // bytes

/// Input `index` of the stream that `seed` names: first the seeds as they are, then one to eight changes of one of them each.
std::string input_at(uint64_t seed, uint64_t index, const std::vector<std::string>& seeds, const std::vector<std::string>& dictionary);

}  // namespace hone::fuzz
