#include "nn/linear.h"

#include "ops/magnitude.h"

namespace hone::nn {
namespace {

// What the adapters of this pass's rows say of these layers.
std::vector<ops::RowLoras> row_loras(std::initializer_list<const Linear*> layers, const Pass& pass) {
  std::vector<ops::RowLoras> all;
  if (!pass.row_adapters) return all;
  for (const RowAdapter& rows : *pass.row_adapters) {
    ops::RowLoras& own = all.emplace_back(ops::RowLoras{rows.begin, rows.end, {}});
    size_t at = 0;
    for (const Linear* layer : layers) own.layers[at++] = layer->ordinal < rows.layers->size() ? &(*rows.layers)[layer->ordinal] : nullptr;
  }
  return all;
}

// z = the layer's product, to m / ‖W + s·B·A‖ · z + bias + addend.
Variable with_magnitude(const Linear& layer, const ops::Lora& lora, const Variable& z, const Variable& addend) {
  const Tensor norms = layer.row_norms.defined() ? layer.row_norms : ops::row_norms(layer.weight.value(), layer.row_squares, lora);
  return ops::magnitude(z, layer.magnitude, norms, layer.bias, addend);
}

}  // namespace

ops::Lora Linear::lora(const Pass& pass) const {
  if (!has_lora()) return {};
  const float p = pass.training ? lora_dropout : 0;
  const Rng rng{pass.seed, Rng::kDropout + (ordinal << 8), pass.step};
  return {lora_a, lora_b, lora_scale, p, rng, pass.first_token * static_cast<uint64_t>(weight.size(1))};
}

Variable Linear::forward(const Variable& x, const Pass& pass) const { return forward_onto({}, x, pass); }

Variable Linear::forward_onto(const Variable& addend, const Variable& x, const Pass& pass) const {
  const ops::Lora low_rank = lora(pass), *adapter = has_lora() ? &low_rank : nullptr;
  const std::vector<ops::RowLoras> rows = row_loras({this}, pass);
  if (magnitude.defined()) return with_magnitude(*this, low_rank, ops::linear_together(x, {{weight, {}, adapter}}, rows)[0], addend);
  if (addend.defined()) return ops::linear_onto(addend, x, {weight, bias, adapter}, rows);
  return rows.empty() ? ops::linear(x, weight, bias, adapter) : ops::linear_together(x, {{weight, bias, adapter}}, rows)[0];
}

std::vector<Variable> forward_together(std::initializer_list<const Linear*> layers, const Variable& x, const Pass& pass) {
  std::vector<ops::Lora> loras;
  for (const Linear* layer : layers) loras.push_back(layer->lora(pass));
  std::vector<ops::LinearLayer> together;
  for (const Linear* layer : layers) together.push_back({layer->weight, layer->magnitude.defined() ? Variable{} : layer->bias, layer->has_lora() ? &loras[together.size()] : nullptr});
  std::vector<Variable> outputs = ops::linear_together(x, together, row_loras(layers, pass));
  size_t at = 0;
  for (const Linear* layer : layers) {
    if (layer->magnitude.defined()) outputs[at] = with_magnitude(*layer, loras[at], outputs[at], {});
    ++at;
  }
  return outputs;
}

}  // namespace hone::nn
