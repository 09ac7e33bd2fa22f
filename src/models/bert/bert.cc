#include "models/bert/bert.h"

#include <algorithm>
#include <cmath>

#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/encoder.h"

namespace hone::models {
namespace {

Tensor tensor_of(const std::vector<int32_t>& values) { return Tensor::from({static_cast<int64_t>(values.size())}, std::span<const int32_t>(values)); }

Tensor f32(const Tensor& weight) {
  return weight.dtype() == DType::kF32 ? weight : ops::decoded(weight);
}

}  // namespace

Bert Bert::load(const BertConfig& config, const Weights& weights, const std::string& where) {
  const auto tensor = [&](const std::string& name, const Shape& shape) {
    const Tensor found = weights(name);
    if (!found.defined()) throw Error(ErrorCode::kInvalidInput, where, fmt::format("weight \"{}\" is missing", name), "the model's files are incomplete; download them again");
    if (found.shape() != shape)
      throw Error(ErrorCode::kInvalidInput, where, fmt::format("weight \"{}\" is {}, expected {}", name, found.shape().str(), shape.str()), "configuration and weights belong to different models; download both again");
    return found;
  };
  const int64_t c = config.hidden_size, f = config.intermediate_size;
  const auto dense = [&](const std::string& name, int64_t out, int64_t in) { return Dense{tensor(name + ".weight", {out, in}), f32(tensor(name + ".bias", {out}))}; };
  const auto norm = [&](const std::string& name) { return Norm{f32(tensor(name + ".weight", {c})), f32(tensor(name + ".bias", {c}))}; };
  Bert model;
  model.config_ = config;
  model.words_ = tensor("embeddings.word_embeddings.weight", {config.vocab_size, c});
  model.positions_ = tensor("embeddings.position_embeddings.weight", {config.max_positions, c});
  model.types_ = tensor("embeddings.token_type_embeddings.weight", {config.token_types, c});
  model.embedding_norm_ = norm("embeddings.LayerNorm");
  for (int64_t i = 0; i < config.layers; ++i) {
    const std::string at = fmt::format("encoder.layer.{}.", i);
    model.layers_.push_back({dense(at + "attention.self.query", c, c), dense(at + "attention.self.key", c, c), dense(at + "attention.self.value", c, c), dense(at + "attention.output.dense", c, c),
                             dense(at + "intermediate.dense", f, c), dense(at + "output.dense", c, f), norm(at + "attention.output.LayerNorm"), norm(at + "output.LayerNorm")});
  }
  return model;
}

// x = norm(word + position + type);  per layer: x = norm(x + attention(x)), x = norm(x + down(gelu(up(x))))
Variable Bert::hidden(const Tensor& ids, const Tensor& positions, const Tensor& segments) const {
  const ops::AttentionHeads heads{config_.heads, config_.heads, 1 / std::sqrt(static_cast<float>(config_.hidden_size / config_.heads))};
  const auto embedded = [](const Variable& table, const Tensor& rows) { return ops::embedding(table, rows, DType::kF32); };
  const Variable places = ops::add(embedded(positions_, positions), embedded(types_, Tensor::zeros(ids.shape(), DType::kI32)));
  Variable x = ops::layer_norm(ops::add(embedded(words_, ids), places), embedding_norm_.weight, embedding_norm_.bias, config_.norm_eps);
  for (const Layer& layer : layers_) {
    const auto qkv = ops::linear_together(x, {{layer.q.weight, layer.q.bias}, {layer.k.weight, layer.k.bias}, {layer.v.weight, layer.v.bias}});
    const Variable seen = ops::bidirectional_attention(qkv[0], qkv[1], qkv[2], heads, segments);
    x = ops::layer_norm(ops::linear_onto(x, seen, {layer.attention_out.weight, layer.attention_out.bias}), layer.attention_norm.weight, layer.attention_norm.bias, config_.norm_eps);
    const Variable inner = ops::gelu(ops::linear(x, layer.up.weight, layer.up.bias));
    x = ops::layer_norm(ops::linear_onto(x, inner, {layer.down.weight, layer.down.bias}), layer.output_norm.weight, layer.output_norm.bias, config_.norm_eps);
  }
  return x;
}

void Bert::embed(std::span<const std::vector<int32_t>> texts, Pooling pooling, float* out) const {
  if (texts.empty()) return;
  const autograd::NoGrad no_grad;
  std::vector<int32_t> ids, positions, segments{0};
  for (const std::vector<int32_t>& text : texts) {
    HONE_CHECK(!text.empty() && static_cast<int64_t>(text.size()) <= config_.max_positions, "a text of {} tokens, {} positions", text.size(), config_.max_positions);
    ids.insert(ids.end(), text.begin(), text.end());
    for (size_t t = 0; t < text.size(); ++t) positions.push_back(static_cast<int32_t>(t));
    segments.push_back(static_cast<int32_t>(ids.size()));
  }
  const Variable x = hidden(tensor_of(ids), tensor_of(positions), tensor_of(segments));
  const auto* rows = x.value().data<float>();
  const int64_t c = config_.hidden_size;
  for (size_t s = 0; s < texts.size(); ++s) {
    float* to = out + static_cast<int64_t>(s) * c;
    std::copy_n(rows + segments[s] * c, c, to);
    if (pooling == Pooling::kCls) continue;
    for (int64_t t = segments[s] + 1; t < segments[s + 1]; ++t)
      for (int64_t i = 0; i < c; ++i) to[i] += rows[t * c + i];
    const float share = 1 / static_cast<float>(segments[s + 1] - segments[s]);
    for (int64_t i = 0; i < c; ++i) to[i] *= share;
  }
}

}  // namespace hone::models
