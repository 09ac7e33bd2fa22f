#include "data/sample_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace hone::data {
namespace {

void append(Sample& sample, const std::vector<int32_t>& ids, uint8_t label) {
  sample.ids.insert(sample.ids.end(), ids.begin(), ids.end());
  sample.loss_mask.insert(sample.loss_mask.end(), ids.size(), label);
}

void append(Sample& sample, const std::optional<int32_t>& id, uint8_t label) {
  if (!id) return;
  sample.ids.push_back(*id);
  sample.loss_mask.push_back(label);
}

RowIssue too_long(int64_t tokens, int64_t limit, const char* what) {
  return {ProblemKind::kTooLong, fmt::format("{} has {} tokens, the cut-off length is {}", what, tokens, limit)};
}

void split_text(const Sample& whole, int64_t limit, std::vector<Sample>& samples) {
  int64_t begin = 0;
  for (const int64_t length : chunk_lengths(whole.length(), limit)) {
    Sample chunk = whole.slice(begin, begin + length);
    chunk.loss_mask.assign(static_cast<size_t>(length), 1);
    chunk.loss_mask.front() = 0;
    samples.push_back(std::move(chunk));
    begin += limit - 1;
  }
}

}  // namespace

// Chunk c holds tokens [c·(limit − 1), c·(limit − 1) + limit).
std::vector<int64_t> chunk_lengths(int64_t tokens, int64_t limit) {
  std::vector<int64_t> lengths;
  if (tokens == 0) return lengths;
  for (int64_t begin = 0; begin == 0 || begin < tokens - 1; begin += limit - 1) {
    lengths.push_back(std::min(limit, tokens - begin));
  }
  return lengths;
}

bool truncate_prompt_start(Sample& sample, int64_t length, std::optional<int32_t> bos) {
  if (sample.length() <= length) return true;
  const auto& mask = sample.loss_mask;
  int64_t end = sample.length();
  if (sample.supervised() > 0) {
    while (mask[static_cast<size_t>(end - 1)] == 0) --end;
  }
  int64_t answer = end;  // first token of the last answer
  while (answer > 0 && mask[static_cast<size_t>(answer - 1)] == 1) --answer;
  const int64_t kept_bos = bos && !sample.ids.empty() && sample.ids.front() == *bos ? 1 : 0;
  // What stays is [begin, end) behind the bos; the answer needs a token before it to be predicted from.
  const int64_t begin = end - (length - kept_bos);
  if (begin > answer - (kept_bos == 1 ? 0 : 1)) return false;
  const int64_t from = std::max<int64_t>(begin, kept_bos);
  Sample cut = sample.slice(from, end);
  cut.truncated = true;
  if (kept_bos == 1) {
    cut.ids.insert(cut.ids.begin(), *bos);
    cut.loss_mask.insert(cut.loss_mask.begin(), 0);
    if (!cut.weights.empty()) cut.weights.insert(cut.weights.begin(), 1.0f);
  }
  if (from > kept_bos && mask[static_cast<size_t>(from - 1)] == 1) {
    // The cut lies inside an answer: its rest has lost its beginning.
    for (size_t i = static_cast<size_t>(kept_bos); i < cut.loss_mask.size() && cut.loss_mask[i] == 1; ++i) {
      cut.loss_mask[i] = 0;
    }
  }
  cut.loss_mask.front() = 0;
  sample = std::move(cut);
  return true;
}

namespace {

// The turns of a chat, each behind its prompt.
std::vector<Sample> chat_samples(const Example& example, const Encoder& encoder, TrainOn train_on) {
  Json messages = example.messages;
  if (train_on == TrainOn::kLast) {
    size_t last = messages.size();
    while (last > 0 && messages[last - 1]["role"] != "assistant") --last;
    for (size_t i = 0; i + 1 < last; ++i)
      if (messages[i]["role"] == "assistant") messages[i]["weight"] = 0;
  }
  std::vector<Sample> samples;
  if (train_on == TrainOn::kAll) {
    EncodedChat chat = encoder.encode_whole_chat(messages, example.tools);
    HONE_CHECK(chat.ids.size() == chat.weights.size() && chat.ids.size() == chat.answers.size(), "{} tokens, {} weights, {} marks", chat.ids.size(), chat.weights.size(), chat.answers.size());
    // Until it is cut to length the mask says where the answers are (fit).
    Sample& sample = samples.emplace_back();
    sample.ids = std::move(chat.ids);
    sample.turns = chat.turns;
    sample.reasoned = chat.reasoned;
    sample.loss_mask = std::move(chat.answers);
    if (std::any_of(chat.weights.begin(), chat.weights.end(), [](float w) { return w != 1; })) sample.weights = std::move(chat.weights);
    return samples;
  }
  for (EncodedChat& chat : encoder.encode_chat(messages, example.tools)) {
    HONE_CHECK(chat.ids.size() == chat.weights.size(), "{} tokens, {} weights", chat.ids.size(), chat.weights.size());
    Sample& sample = samples.emplace_back();
    sample.ids = std::move(chat.ids);
    sample.turns = chat.turns;
    sample.reasoned = chat.reasoned;
    bool plain = true;
    for (const float weight : chat.weights) {
      sample.loss_mask.push_back(weight > 0);
      plain = plain && (weight == 0 || weight == 1);
    }
    if (!plain) sample.weights = std::move(chat.weights);
  }
  return samples;
}

// [bos] text [eos], as raw prompts are read: neither is written twice.
Sample plain_sample(const Encoder& encoder, const std::string& prompt, const std::string& words, bool learn_prompt) {
  Sample sample;
  const std::vector<int32_t> before = encoder.encode(prompt), after = encoder.encode(words);
  const auto& first = before.empty() ? after : before;
  if (const auto bos = encoder.bos(); bos && (first.empty() || first.front() != *bos)) append(sample, bos, learn_prompt);
  append(sample, before, learn_prompt);
  append(sample, after, 1);
  if (!encoder.ends_answer(after)) append(sample, encoder.eos(), 1);
  return sample;
}

// Cuts `sample` to the rules' length, or says why it cannot be used.
std::optional<RowIssue> fit(Sample& sample, const Encoder& encoder, const CutRules& rules) {
  if (!sample.loss_mask.empty()) sample.loss_mask.front() = 0;
  if (sample.length() > rules.cutoff_length) {
    if (rules.policy != CutOffPolicy::kTruncatePromptStart) return too_long(sample.length(), rules.cutoff_length, "the sample");
    if (!truncate_prompt_start(sample, rules.cutoff_length, encoder.bos()))
      return too_long(sample.length(), rules.cutoff_length, "the last answer does not fit: the sample");
  }
  if (rules.train_on == TrainOn::kAll && !sample.loss_mask.empty()) {
    const auto plain = [](float weight) { return weight == 0 || weight == 1; };
    for (size_t i = 1; i < sample.loss_mask.size(); ++i) sample.loss_mask[i] = sample.weights.empty() || sample.weights[i] > 0;
    if (std::all_of(sample.weights.begin(), sample.weights.end(), plain)) sample.weights.clear();
  }
  if (sample.supervised() == 0)
    return RowIssue{ProblemKind::kNothingSupervised, fmt::format("none of its {} tokens carries a label", sample.length())};
  return std::nullopt;
}

}  // namespace

SampleSizes sizes_of(std::span<const Sample> samples) {
  SampleSizes sizes;
  for (const Sample& sample : samples) {
    sizes.longest = std::max(sizes.longest, sample.length());
    sizes.supervised += sample.supervised();
  }
  return sizes;
}

std::optional<RowIssue> build_samples(const Example& example, const Encoder& encoder, const CutRules& rules,
                                      const SourceRow& source, std::vector<Sample>& samples) {
  samples.clear();
  std::vector<Sample> whole;
  try {
    if (example.kind == Example::Kind::kChat) whole = chat_samples(example, encoder, rules.train_on);
    else if (example.kind == Example::Kind::kCompletion) whole = {plain_sample(encoder, example.prompt, example.completion, false)};
    else whole = {plain_sample(encoder, "", example.text, true)};
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal || error.code() == ErrorCode::kOutOfMemory) throw;
    return RowIssue{ProblemKind::kRefused, error.message()};
  }
  if (whole.empty()) return RowIssue{ProblemKind::kNothingSupervised, "no words of an assistant are learned"};
  std::optional<RowIssue> last;
  for (Sample& sample : whole) {
    sample.source = source;
    if (example.kind == Example::Kind::kText && sample.length() > rules.cutoff_length && rules.policy == CutOffPolicy::kTruncatePromptStart) {
      split_text(sample, rules.cutoff_length, samples);
      continue;
    }
    if (auto issue = fit(sample, encoder, rules)) last = std::move(issue);
    else samples.push_back(std::move(sample));
    if (last && last->kind == ProblemKind::kTooLong && rules.policy == CutOffPolicy::kRefuse) {
      samples.clear();
      break;
    }
  }
  return samples.empty() ? last : std::nullopt;
}

}  // namespace hone::data
