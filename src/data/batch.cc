#include "data/batch.h"

#include <algorithm>
#include <type_traits>

#include "base/error.h"

namespace hone::data {

int64_t Sample::supervised() const { return std::count(loss_mask.begin(), loss_mask.end(), uint8_t{1}); }

Sample Sample::slice(int64_t begin, int64_t end) const {
  Sample part;
  part.source = source;
  part.truncated = truncated;
  part.turns = turns;
  part.reasoned = reasoned;
  part.ids.assign(ids.begin() + begin, ids.begin() + end);
  part.loss_mask.assign(loss_mask.begin() + begin, loss_mask.begin() + end);
  if (!weights.empty()) part.weights.assign(weights.begin() + begin, weights.begin() + end);
  return part;
}

double MicroBatch::loss_weight() const {
  if (weights.empty()) return static_cast<double>(supervised);
  double sum = 0;
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] != kNoLabel) sum += weights[i];
  return sum;
}

double StepBatch::loss_weight() const {
  double sum = 0;
  for (const MicroBatch& batch : micro_batches) sum += batch.loss_weight();
  return sum;
}

void MicroBatch::append(const Sample& sample) {
  HONE_CHECK(!sample.ids.empty() && sample.ids.size() == sample.loss_mask.size(), "a sample of {} tokens and {} mask entries",
             sample.ids.size(), sample.loss_mask.size());
  if (segment_begin.empty()) segment_begin.push_back(0);
  const size_t count = sample.ids.size();
  HONE_CHECK(sample.weights.empty() || sample.weights.size() == count, "a sample of {} tokens and {} weights", count, sample.weights.size());
  if (!sample.weights.empty() && weights.empty()) weights.assign(labels.size(), 1.0f);
  ids.insert(ids.end(), sample.ids.begin(), sample.ids.end());
  for (size_t i = 0; i < count; ++i) {
    const bool labelled = i + 1 < count && sample.loss_mask[i + 1] != 0;
    labels.push_back(labelled ? sample.ids[i + 1] : kNoLabel);
    if (!sample.weights.empty() || !weights.empty()) weights.push_back(labelled && !sample.weights.empty() ? sample.weights[i + 1] : 1.0f);
    positions.push_back(static_cast<int32_t>(i));
    supervised += labelled;
  }
  segment_begin.push_back(static_cast<int32_t>(ids.size()));
  sources.push_back(sample.source);
}

std::vector<MicroBatch> cut(MicroBatch batch, int64_t tokens) {
  std::vector<MicroBatch> passes;
  if (batch.tokens() <= tokens || batch.segments() < 2) {
    passes.push_back(std::move(batch));
    return passes;
  }
  const auto slice = [](const auto& all, size_t begin, size_t end) { return std::remove_cvref_t<decltype(all)>(all.begin() + static_cast<std::ptrdiff_t>(begin), all.begin() + static_cast<std::ptrdiff_t>(end)); };
  const auto at = [&](size_t segment) { return static_cast<size_t>(batch.segment_begin[segment]); };
  const size_t segments = batch.sources.size();
  for (size_t first = 0, last; first < segments; first = last) {
    for (last = first + 1; last < segments && static_cast<int64_t>(at(last + 1) - at(first)) <= tokens;) ++last;
    const size_t begin = at(first), end = at(last);
    MicroBatch pass;
    pass.ids = slice(batch.ids, begin, end);
    pass.labels = slice(batch.labels, begin, end);
    if (!batch.weights.empty()) pass.weights = slice(batch.weights, begin, end);
    pass.positions = slice(batch.positions, begin, end);
    for (size_t s = first; s <= last; ++s) pass.segment_begin.push_back(static_cast<int32_t>(at(s) - begin));
    pass.sources = slice(batch.sources, first, last);
    pass.supervised = static_cast<int64_t>(pass.labels.size()) - std::count(pass.labels.begin(), pass.labels.end(), kNoLabel);
    passes.push_back(std::move(pass));
  }
  return passes;
}

}  // namespace hone::data
