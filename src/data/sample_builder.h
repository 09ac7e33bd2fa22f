// From an example to tokenised samples of at most the cut-off length.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/batch.h"
#include "data/config.h"
#include "data/encoder.h"
#include "data/format.h"

namespace hone::data {

struct CutRules {
  int64_t cutoff_length = 2048;
  CutOffPolicy policy = CutOffPolicy::kTruncatePromptStart;
  TrainOn train_on = TrainOn::kAssistant;
};

/// Tokenises `example` into `samples` (cleared first): one for a prompt/completion pair; for a chat, as many as Encoder::encode_chat needs to show
/// each turn behind the prompt that inference renders; for plain text, chunks of cutoff_length tokens of which each begins with the last token
/// of the one before, so that every token but the first is predicted exactly once. Returns what kept the row from becoming a sample, and then
/// leaves `samples` empty.
///   chat:              prompt, turn, …                          labels: the assistant's tokens
///   prompt/completion: [bos] prompt completion eos              labels: completion and eos
///   text:              [bos] text eos                           labels: all
/// Under CutOffPolicy::kRefuse a row that is too long is returned as kTooLong like under kDrop; the caller refuses.
std::optional<RowIssue> build_samples(const Example& example, const Encoder& encoder, const CutRules& rules,
                                      const SourceRow& source, std::vector<Sample>& samples);

/// Of the samples of one row: tokens of the longest one, labels of all.
struct SampleSizes {
  int64_t longest = 0, supervised = 0;
};
SampleSizes sizes_of(std::span<const Sample> samples);

/// Shortens `sample` to `length` tokens by cutting its prompt's start: tokens behind the last label go first, then tokens
/// from the start, keeping a leading `bos`. Of an earlier answer that is cut into, nothing is a label any more. Returns
/// false, leaving the sample as it is, when the last answer and one token before it do not fit.
bool truncate_prompt_start(Sample& sample, int64_t length, std::optional<int32_t> bos);

/// The lengths of the samples a row of `tokens` tokens becomes: one, or the chunks of a text. Consecutive chunks share a
/// token, so their lengths sum to tokens + chunks − 1. None for no tokens.
std::vector<int64_t> chunk_lengths(int64_t tokens, int64_t limit);

}  // namespace hone::data
