// Samples and the batches made of them. A batch is always a concatenation of segments (whole samples): no padding.
#pragma once

#include <cstdint>
#include <vector>

namespace hone::data {

/// The label of a position that is not supervised (ops::kIgnoreLabel).
inline constexpr int32_t kNoLabel = -100;

/// Which row of which file: `dataset` counts DataConfig::datasets, then DataConfig::validation. Loader::describe names it.
struct SourceRow {
  uint32_t dataset = 0;
  uint64_t row = 0;

  bool operator==(const SourceRow&) const = default;
};

/// One tokenised sample. loss_mask[i] = 1 when token i is to be predicted (from the tokens before it); token 0 has
/// nothing before it, so its mask is never 1.
struct Sample {
  std::vector<int32_t> ids;
  std::vector<uint8_t> loss_mask;  // as long as ids
  SourceRow source;
  bool truncated = false;  // tokens were cut from the prompt's start
  std::vector<float> weights = {};  // how much each labelled token counts in the loss, as long as ids; empty: 1 each
  int32_t turns = 0, reasoned = 0;  // of an assistant that are learned; of them with reasoning

  int64_t length() const { return static_cast<int64_t>(ids.size()); }
  int64_t supervised() const;
  /// Tokens [begin, end) of it, of the same source.
  Sample slice(int64_t begin, int64_t end) const;
};

/// Samples that are taken together: one forward and backward pass, or a few (cut). Segment s is positions [segment_begin[s],
/// segment_begin[s + 1]) and is one sample; nothing may attend across segments.
struct MicroBatch {
  std::vector<int32_t> ids;            // (T)
  std::vector<int32_t> labels;         // (T) the next token of the same segment where supervised, else kNoLabel
  std::vector<float> weights;          // (T) of the labels in the loss; empty: 1 each
  std::vector<int32_t> positions;      // (T) 0, 1, … within each segment
  std::vector<int32_t> segment_begin;  // (S + 1) 0 = first, T = last
  std::vector<SourceRow> sources;      // (S)
  int64_t rows = 0;                    // packed rows (≤ batch_size); without packing, samples
  int64_t supervised = 0;              // labels other than kNoLabel

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t segments() const { return static_cast<int64_t>(sources.size()); }
  /// Σ of the labels' weights.
  double loss_weight() const;
  /// Appends `sample` as one more segment.
  void append(const Sample& sample);
};

/// The same segments in passes, in order: each holds as many whole segments as have at most `tokens` tokens together, or one that has
/// more. `rows` is not kept.
std::vector<MicroBatch> cut(MicroBatch batch, int64_t tokens);

/// One optimizer step. The loss of the step is Σ over micro-batches of Σ −weight · log p(label), divided by loss_weight(): a weight of 2 is the
/// same as the words standing there twice.
struct StepBatch {
  std::vector<MicroBatch> micro_batches;  // gradient_accumulation of them; fewer in the last step of an epoch
  int64_t supervised = 0;
  int64_t tokens = 0;
  uint64_t epoch = 0;         // of this step
  bool last_in_epoch = false;

  double loss_weight() const;
};

}  // namespace hone::data
