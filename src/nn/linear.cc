#include "nn/linear.h"

namespace hone::nn {
namespace {

// Adds what the rows' own adapters say, in place.
void add_row_adapters(const Linear& layer, const Variable& x, const Variable& y, const Pass& pass) {
  if (!pass.row_adapters) return;
  for (const RowAdapter& rows : *pass.row_adapters) {
    if (layer.ordinal >= rows.layers->size()) continue;
    const ops::Lora& lora = (*rows.layers)[layer.ordinal];
    if (lora.a.defined()) ops::add_low_rank(y.value().rows(rows.begin, rows.end), x.value().rows(rows.begin, rows.end), lora);
  }
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
  const Variable y = addend.defined() ? ops::linear_onto(addend, x, {weight, bias, adapter}) : ops::linear(x, weight, bias, adapter);
  add_row_adapters(*this, x, y, pass);
  return y;
}

std::vector<Variable> forward_together(std::initializer_list<const Linear*> layers, const Variable& x, const Pass& pass) {
  std::vector<ops::Lora> loras;
  for (const Linear* layer : layers) loras.push_back(layer->lora(pass));
  std::vector<ops::LinearLayer> together;
  for (const Linear* layer : layers) together.push_back({layer->weight, layer->bias, layer->has_lora() ? &loras[together.size()] : nullptr});
  std::vector<Variable> outputs = ops::linear_together(x, together);
  size_t at = 0;
  for (const Linear* layer : layers) add_row_adapters(*layer, x, outputs[at++], pass);
  return outputs;
}

}  // namespace hone::nn
