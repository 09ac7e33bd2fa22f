#include "recipes/merged_weights.h"

#include <cmath>

#include "base/thread_pool.h"
#include "models/adapter.h"
#include "ops/device.h"
#include "ops/magnitude.h"

namespace hone::recipes {

namespace {

constexpr const char *kEmbedding = "model.embed_tokens.weight", *kHead = "lm_head.weight";

// merged += scale · b·a, or · b·aᵀ
void add_product(const Tensor& merged, const Tensor& b, const Tensor& a, bool a_transposed, float scale) {
  kernels::Gemm g;
  g.m = merged.size(0);
  g.n = merged.size(1);
  g.products[0] = {ops::matrix(b), false, ops::matrix(a), a_transposed, scale};
  g.c = merged.raw_mutable();
  g.ldc = g.n;
  g.accumulate = true;
  g.precision = kernels::Precision::kF32;
  ops::kernels_for(merged).gemm(&g, 1, ThreadPool::global());
}

// Gives every row the length that its magnitude says.
void set_lengths(const Tensor& merged, const Tensor& magnitude) {
  const int64_t cols = merged.size(1);
  const Tensor squares = ops::row_squares(merged);
  for (int64_t row = 0; row < merged.size(0); ++row) {
    const double length = std::sqrt(double{squares.data<float>()[row]});
    const double share = length > 0 ? double{magnitude.data<float>()[row]} / length : 0;
    for (int64_t c = 0; c < cols; ++c) merged.data_mutable<float>()[row * cols + c] *= static_cast<float>(share);
  }
}

}  // namespace

MergedWeights::MergedWeights(models::CausalLm& model, const models::ModelSource& source) : source_(source), trained_(model.replaced()) {
  const auto add = [&](nn::Linear& linear) {
    if (linear.has_lora()) adapted_[linear.name + ".weight"] = &linear;
  };
  model.each_linear(add);
  add(model.head());
  if (model.embedding().has_lora()) embedding_ = &model.embedding();
  for (const auto& leaf : model.parameters())
    if (!models::is_adapter_leaf(leaf->name)) trained_[leaf->name] = leaf->value;
}

bool MergedWeights::unties() const {
  if (!source_.config().tied_head) return false;
  const bool full = trained_.contains("model.norm.weight") && trained_.contains(kEmbedding) && !trained_.contains(kHead) && adapted_.empty();
  return adapted_.contains(kHead) || trained_.contains(kHead) || embedding_ || (trained_.contains(kEmbedding) && !full);
}

bool MergedWeights::changed(const std::string& weight) const {
  return adapted_.contains(weight) || trained_.contains(weight) || (weight == kEmbedding && embedding_) || (weight == kHead && unties());
}

Tensor MergedWeights::f32(const std::string& weight) const {
  const Tensor merged = stored_order(weight);
  const models::ModelConfig& config = source_.config();
  if (!models::holds_reordered_rows(config, weight.substr(0, weight.rfind('.')))) return merged;
  return models::reorder_rotary_rows(merged, config.head_dim, models::RowOrder::kToHuggingFace);
}

// Without adapters; a tensor of its own when the weight is adapted.
Tensor MergedWeights::base(const std::string& weight) const {
  if (const auto it = trained_.find(weight); it != trained_.end()) return adapted_.contains(weight) || embedding_ ? it->second.clone() : it->second;
  return ops::decoded(source_.tensor(models::stored_name(source_, weight)));
}

Tensor MergedWeights::stored_order(const std::string& weight) const {
  const Tensor merged = base(weight);
  if (weight == kEmbedding && embedding_) add_product(merged, embedding_->lora_a.value(), embedding_->lora_b.value(), /*a_transposed=*/true, embedding_->lora_scale);
  const auto it = adapted_.find(weight);
  if (it == adapted_.end()) return merged;
  const nn::Linear& linear = *it->second;
  add_product(merged, linear.lora_b.value(), linear.lora_a.value(), /*a_transposed=*/false, linear.lora_scale);
  if (linear.start_a.defined()) add_product(merged, linear.start_b, linear.start_a, /*a_transposed=*/false, -linear.lora_scale);
  if (linear.magnitude.defined()) set_lengths(merged, linear.magnitude.value());
  return merged;
}

}  // namespace hone::recipes
