// Guessing how an answer goes on, so that one pass through the model may bring several of its tokens.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace hone::infer {

/// Continues an answer as the same words went on earlier, in its prompt or in itself (prompt lookup decoding): answers quote what
/// they were asked about, and JSON and code repeat themselves. A guess is checked by the pass that it shares, so it changes what an
/// answer costs and nothing else.
class Draft {
 public:
  /// Most tokens that one pass over answers takes with all its guesses; what shares a pass of so few costs little beside reading the weights.
  static constexpr int64_t kMostRows = 8;

  /// The next tokens after `ids`, at most `most`; as many as are worth their cost where `sequences` answer in one pass.
  /// `costly_rows`: every token reads weights of its own (experts).
  std::vector<int32_t> guess(std::span<const int32_t> ids, int64_t sequences, int64_t most, bool costly_rows = false);
  /// Of the last guess, `offered` tokens were compared with the model's choice, and `taken` were the same.
  void judge(int64_t offered, int64_t taken);

 private:
  static constexpr int64_t kLongest = 4;  // tokens before the guessed ones that are compared
  static constexpr std::array<double, kLongest> kHits{0.1, 0.3, 0.5, 0.7};
  std::array<double, kLongest> hits_ = kHits;  // how often a guessed token was right, by the tokens before it that were alike
  size_t alike_ = 0;  // of the last guess, less one
};

}  // namespace hone::infer
