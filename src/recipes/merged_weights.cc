#include "recipes/merged_weights.h"

#include "base/thread_pool.h"
#include "models/adapter.h"
#include "ops/device.h"

namespace hone::recipes {

MergedWeights::MergedWeights(models::CausalLm& model, const models::ModelSource& source) : source_(source) {
  model.each_linear([&](nn::Linear& linear) {
    if (linear.has_lora()) adapted_[linear.name + ".weight"] = &linear;
  });
  for (const auto& leaf : model.parameters())
    if (leaf->name.find(".lora_") == std::string::npos) trained_[leaf->name] = leaf->value;
}

bool MergedWeights::changed(const std::string& weight) const { return adapted_.contains(weight) || trained_.contains(weight); }

Tensor MergedWeights::f32(const std::string& weight) const {
  const Tensor merged = stored_order(weight);
  const models::ModelConfig& config = source_.config();
  if (!models::holds_reordered_rows(config, weight.substr(0, weight.rfind('.')))) return merged;
  return models::reorder_rotary_rows(merged, config.head_dim, models::RowOrder::kToHuggingFace);
}

Tensor MergedWeights::stored_order(const std::string& weight) const {
  if (const auto it = trained_.find(weight); it != trained_.end()) return it->second;
  const Tensor stored = source_.tensor(weight);
  Tensor merged = Tensor::empty(stored.shape(), DType::kF32);
  const auto& kernels = ops::kernels_for(merged);
  if (stored.shape().rank() == 2) kernels.decode(ops::matrix(stored), merged.raw_mutable(), DType::kF32, ThreadPool::global());
  else kernels.decode(ops::matrix(stored.reshape({1, stored.elements()})), merged.raw_mutable(), DType::kF32, ThreadPool::global());
  const auto it = adapted_.find(weight);
  if (it == adapted_.end()) return merged;
  const nn::Linear& linear = *it->second;
  kernels::Gemm g;
  g.m = merged.size(0);
  g.n = merged.size(1);
  g.products[0] = {ops::matrix(linear.lora_b.value()), false, ops::matrix(linear.lora_a.value()), false, linear.lora_scale};
  g.c = merged.raw_mutable();
  g.ldc = g.n;
  g.accumulate = true;
  g.precision = kernels::Precision::kF32;
  kernels.gemm(&g, 1, ThreadPool::global());
  return merged;
}

}  // namespace hone::recipes
