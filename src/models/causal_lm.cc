#include "models/causal_lm.h"

#include <algorithm>
#include <cmath>

#include "models/names.h"
#include "ops/embedding.h"
#include "ops/rms_norm.h"

namespace hone::models {

Variable CausalLm::hidden(const nn::Sequence& sequence, const nn::Pass& pass, nn::KvCache* cache, bool checkpointing) const {
  Variable x = ops::embedding(embedding_, sequence.ids, activation_);
  for (const nn::Block& block : blocks_) {
    if (checkpointing && !cache) {
      x = autograd::checkpoint(
          [&block, sequence, rope = &rope_, pass](const Variable& in) {
            return block.forward(in, sequence, *rope, pass, nullptr);
          },
          x);
    } else {
      x = block.forward(x, sequence, rope_, pass, cache);
    }
  }
  return ops::rms_norm(x, final_norm_, static_cast<float>(config_.rms_eps));
}

Variable CausalLm::logits(const Variable& hidden) const {
  return ops::linear(hidden, head_, Variable{}, nullptr, DType::kF32);
}

ops::TokenLoss CausalLm::loss(const nn::Sequence& sequence, const ops::Labels& labels, float scale, const nn::Pass& pass,
                              bool checkpointing) const {
  return ops::linear_cross_entropy(hidden(sequence, pass, nullptr, checkpointing), head_, labels, scale);
}

void CausalLm::each_linear(const std::function<void(nn::Linear&)>& fn) {
  for (nn::Block& block : blocks_) block.each_linear(fn);
}

void CausalLm::visit_linears(const std::function<void(const nn::Linear&)>& fn) const {
  const_cast<CausalLm*>(this)->each_linear([&](nn::Linear& linear) { fn(linear); });  // visits only
}

std::vector<std::shared_ptr<autograd::Leaf>> CausalLm::parameters() {
  std::vector<std::shared_ptr<autograd::Leaf>> all = full_parameters_;
  each_linear([&](nn::Linear& linear) {
    if (!linear.has_lora()) return;
    all.push_back(linear.lora_a.leaf());
    all.push_back(linear.lora_b.leaf());
  });
  std::erase(all, nullptr);
  return all;
}

int64_t add_lora(CausalLm& model, const LoraOptions& options) {
  const auto targets = lora_targets(model.config(), options.targets);
  if (options.rank < 1 || options.rank > 4096)
    throw Error(ErrorCode::kInvalidInput, "lora.r", fmt::format("expected 1 to 4096, found {}", options.rank));
  const auto rank = static_cast<float>(options.rank);
  int64_t count = 0;
  model.each_linear([&](nn::Linear& linear) {
    if (!std::binary_search(targets.begin(), targets.end(), linear.name)) return;
    const int64_t in = linear.weight.size(1), out = linear.weight.size(0);
    Tensor a = Tensor::empty({options.rank, in}, DType::kF32);
    const Rng rng{options.seed, Rng::kInit + (linear.ordinal << 8), 0};
    const float bound = 1 / std::sqrt(static_cast<float>(in));
    for (int64_t i = 0; i < a.elements(); ++i)
      a.data_mutable<float>()[i] = bound * (2 * rng.uniform(static_cast<uint64_t>(i)) - 1);
    linear.lora_a = Variable::parameter(a, linear.name + ".lora_A.weight");
    linear.lora_b = Variable::parameter(Tensor::zeros({out, options.rank}, DType::kF32), linear.name + ".lora_B.weight");
    linear.lora_scale = options.alpha / (options.rank_stabilized ? std::sqrt(rank) : rank);
    linear.lora_dropout = options.dropout;
    ++count;
  });
  return count;
}

}  // namespace hone::models
