// Guessing how an answer goes on, so that one pass through the model may bring several of its tokens.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace hone::infer {

/// Continues an answer as the same words went on earlier: in its prompt or in itself (prompt lookup decoding), in answers before it, or
/// in a text that it is said to resemble. Answers quote what they were asked about, JSON and code repeat themselves, and one request often
/// is like the last. A guess is checked by the pass that it shares, so it changes what an answer costs and nothing else.
class Draft {
 public:
  /// Most tokens that one pass over answers takes with all its guesses; what shares a pass of so few costs little beside reading the weights.
  static constexpr int64_t kMostRows = 8;

  Draft() = default;
  /// `prediction`: what the answer to a prompt of `prompt_tokens` may turn out to be.
  Draft(std::vector<int32_t> prediction, size_t prompt_tokens) : prediction_(std::move(prediction)), prompt_tokens_(prompt_tokens) {}

  /// The next tokens after `ids`, prompt and answer, at most `most`; as many as are worth their cost where `sequences` answer in one
  /// pass. `recent`: RecentAnswers::of. `costly_rows`: every token reads weights of its own (experts).
  std::vector<int32_t> guess(std::span<const int32_t> ids, int64_t sequences, int64_t most, std::span<const int32_t> recent = {}, bool costly_rows = false);
  /// Of the last guess, `offered` tokens were compared with the model's choice, and `taken` were the same.
  void judge(int64_t offered, int64_t taken);

 private:
  static constexpr size_t kKinds = 4;
  static constexpr std::array<double, kKinds> kHits{0.1, 0.3, 0.5, 0.7};
  std::array<double, kKinds> hits_ = kHits;  // how often a guessed token was right, where 1, 2, 3, and 4 or more tokens before it were alike
  size_t kind_ = 0;                          // of the last guess
  std::vector<int32_t> prediction_;
  size_t prompt_tokens_ = 0;
};

/// The last answers of each adapter, one after the other, each behind the end of its prompt.
class RecentAnswers {
 public:
  static constexpr size_t kTokens = 4096, kAdapters = 16;  // kept of each; adapters that answered last

  void add(uint64_t adapter, std::span<const int32_t> ids, size_t prompt_tokens);
  std::span<const int32_t> of(uint64_t adapter) const;

 private:
  struct Answers {
    uint64_t adapter = 0;
    std::vector<int32_t> tokens;
  };
  std::vector<Answers> all_;  // the last to answer comes last
};

}  // namespace hone::infer
