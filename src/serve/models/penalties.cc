#include "serve/models/penalties.h"

namespace hone::serve {

void Penalties::apply(std::span<float> logits) {
  const auto at = [&](int32_t id) -> float* { return id >= 0 && static_cast<size_t>(id) < logits.size() ? &logits[static_cast<size_t>(id)] : nullptr; };
  for (const auto& [id, bias] : options_.bias)
    if (float* logit = at(id)) *logit += bias;
  for (const auto& [id, count] : counts_)
    if (float* logit = at(id)) *logit -= options_.presence + options_.frequency * static_cast<float>(count);
  if (then_) then_->apply(logits);
}

void Penalties::accept(int32_t id) {
  ++counts_[id];
  if (then_) then_->accept(id);
}

}  // namespace hone::serve
