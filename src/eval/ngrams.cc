#include "eval/ngrams.h"

#include <algorithm>
#include <unordered_map>

namespace hone::eval {

std::vector<std::vector<uint32_t>> number_words(const std::vector<std::vector<std::u32string>>& sequences) {
  std::unordered_map<std::u32string, uint32_t> known;
  std::vector<std::vector<uint32_t>> out;
  for (const auto& sequence : sequences) {
    auto& numbers = out.emplace_back();
    numbers.reserve(sequence.size());
    for (const std::u32string& word : sequence) numbers.push_back(known.try_emplace(word, static_cast<uint32_t>(known.size())).first->second);
  }
  return out;
}

Ngrams::Ngrams(const std::vector<std::vector<uint32_t>>& sequences, int max_order) {
  ids.assign(sequences.size(), std::vector<std::vector<uint32_t>>(static_cast<size_t>(max_order)));
  std::unordered_map<uint64_t, uint32_t> known;
  for (size_t n = 0; n < static_cast<size_t>(max_order); ++n) {
    known.clear();
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto& tokens = sequences[s];
      if (tokens.size() <= n) continue;
      auto& now = ids[s][n];
      now.reserve(tokens.size() - n);
      for (size_t i = 0; i + n < tokens.size(); ++i) {
        const uint64_t before = n == 0 ? 0 : ids[s][n - 1][i];
        now.push_back(known.try_emplace(before << 32 | tokens[i + n], static_cast<uint32_t>(known.size())).first->second);
      }
    }
    distinct.push_back(static_cast<uint32_t>(known.size()));
  }
}

std::vector<uint32_t> Ngrams::counts(size_t sequence, int order) const {
  std::vector<uint32_t> out(distinct[static_cast<size_t>(order - 1)]);
  for (const uint32_t id : ids[sequence][static_cast<size_t>(order - 1)]) ++out[id];
  return out;
}

uint64_t shared(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  uint64_t sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::min(a[i], b[i]);
  return sum;
}

}  // namespace hone::eval
