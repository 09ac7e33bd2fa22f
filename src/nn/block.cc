#include "nn/block.h"

#include "ops/elementwise.h"
#include "ops/rms_norm.h"

namespace hone::nn {

Variable Block::forward(const Variable& x, const Sequence& sequence, const ops::RopeTable& rope, const Pass& pass,
                        KvCache* cache) const {
  const float p = pass.training ? pass.dropout : 0;
  // Streams of the block's own masks lie apart from its linear layers' by the low byte.
  auto drop = [&](const Variable& y, uint32_t half) {
    const Rng rng{pass.seed, Rng::kDropout + (ordinal << 8) + (half << 4), pass.step};
    return ops::dropout(y, p, rng, pass.first_token * static_cast<uint64_t>(y.size(1)));
  };
  // Without dropout the last product of each half adds onto the residual stream itself.
  const auto attend = [&](const Variable& addend) {
    const Variable normed = ops::rms_norm(x, attention_norm, norm_eps);
    return std::visit([&](auto& a) { return a.forward(addend, normed, sequence, rope, pass, cache); }, attention);
  };
  const Variable h = p == 0 ? attend(x) : ops::add(x, drop(attend({}), 1));
  const auto feed = [&](const Variable& addend) {
    const Variable normed = ops::rms_norm(h, feed_forward_norm, norm_eps);
    return std::visit([&](auto& f) { return f.forward(addend, normed, pass); }, feed_forward);
  };
  return p == 0 ? feed(h) : ops::add(h, drop(feed({}), 2));
}

}  // namespace hone::nn
