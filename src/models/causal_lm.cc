#include "models/causal_lm.h"

#include <algorithm>
#include <cmath>

#include "models/names.h"
#include "ops/elementwise.h"
#include "ops/rms_norm.h"

namespace hone::models {

Variable CausalLm::hidden(const nn::Sequence& sequence, const nn::Pass& pass, nn::KvCache* cache, bool checkpointing) const {
  Variable x = embedding_.forward(sequence.ids, activation_);
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
  const ops::Lora update = head_.lora(nn::Pass{});
  return ops::linear(hidden, head_.weight, Variable{}, head_.has_lora() ? &update : nullptr, DType::kF32);
}

ops::TokenLoss CausalLm::loss(const nn::Sequence& sequence, const ops::Labels& labels, float scale, const nn::Pass& pass,
                              bool checkpointing) const {
  const Variable h = hidden(sequence, pass, nullptr, checkpointing);
  if (!head_.has_lora()) return ops::linear_cross_entropy(h, head_.weight, labels, scale);
  const ops::Lora update = head_.lora(pass);
  const Variable u = ops::linear(ops::dropout(h, update.dropout, update.rng, update.first), update.a, {});
  return ops::linear_cross_entropy(h, head_.weight, labels, scale, {u, update.b, update.scale});
}

void CausalLm::each_linear(const std::function<void(nn::Linear&)>& fn) {
  for (nn::Block& block : blocks_) block.each_linear(fn);
}

void CausalLm::visit_linears(const std::function<void(const nn::Linear&)>& fn) const {
  const_cast<CausalLm*>(this)->each_linear([&](nn::Linear& linear) { fn(linear); });  // visits only
}

std::vector<std::shared_ptr<autograd::Leaf>> CausalLm::parameters() {
  std::vector<std::shared_ptr<autograd::Leaf>> all = full_parameters_;
  const auto add = [&](const nn::Linear& linear) {
    if (!linear.has_lora()) return;
    for (const Variable* part : {&linear.lora_a, &linear.lora_b, &linear.magnitude}) all.push_back(part->leaf());
  };
  all.push_back(embedding_.lora_a.leaf());
  all.push_back(embedding_.lora_b.leaf());
  each_linear(add);
  add(head_);
  std::erase(all, nullptr);
  return all;
}

bool is_adapter_leaf(const std::string& name) { return name.find(".lora_") != std::string::npos; }

}  // namespace hone::models
