// N-grams of a few sequences as small numbers: equal n-grams have equal numbers, so that counting them is indexing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hone::eval {

/// Words of several sequences as numbers, equal words having equal numbers.
std::vector<std::vector<uint32_t>> number_words(const std::vector<std::vector<std::u32string>>& sequences);

/// The n-grams of order 1 … max_order of each sequence. `ids[s][n - 1][i]` numbers the n-gram of sequence s that starts at its
/// token i, below `distinct[n - 1]`. An n-gram is the pair of the (n - 1)-gram before it and its last token, so one pass per
/// order does it.
struct Ngrams {
  Ngrams(const std::vector<std::vector<uint32_t>>& sequences, int max_order);

  std::vector<std::vector<std::vector<uint32_t>>> ids;
  std::vector<uint32_t> distinct;

  /// How often each n-gram of this order occurs in a sequence.
  std::vector<uint32_t> counts(size_t sequence, int order) const;
};

/// Σ min(a, b): the n-grams that two texts share.
uint64_t shared(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b);

}  // namespace hone::eval
