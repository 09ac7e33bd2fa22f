// Sampling settings that the sampler itself does not have: penalties for repeating, biases of single tokens.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "infer/engine.h"

namespace hone::serve {

struct PenaltyOptions {
  float presence = 0;             // taken off the logit of every token the answer holds already
  float frequency = 0;            // taken off once per occurrence
  std::map<int32_t, float> bias;  // added
  bool any() const { return presence != 0 || frequency != 0 || !bias.empty(); }
};

class Penalties : public infer::TokenFilter {
 public:
  /// `then` (may be null) sees the logits afterwards.
  Penalties(PenaltyOptions options, std::shared_ptr<infer::TokenFilter> then) : options_(std::move(options)), then_(std::move(then)) {}
  void apply(std::span<float> logits) override;
  void accept(int32_t id) override;

 private:
  PenaltyOptions options_;
  std::shared_ptr<infer::TokenFilter> then_;
  std::map<int32_t, int> counts_;  // of the answer's tokens
};

}  // namespace hone::serve
