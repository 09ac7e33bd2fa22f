#include <cstring>
#include <map>

#include "base/error.h"
#include "models/adapter.h"
#include "models/gguf_layout.h"
#include "models/names.h"
#include "recipes/export_gguf.h"

namespace hone::recipes {
namespace {

using Kind = models::GgufTensor::Kind;

// One adapted tensor: A and B, or one pair per expert.
struct Stack {
  std::vector<Tensor> a, b;
  bool experts = false;
};

Tensor transposed(const Tensor& m) {
  Tensor out = Tensor::empty({m.size(1), m.size(0)}, DType::kF32);
  for (int64_t r = 0; r < m.size(0); ++r)
    for (int64_t c = 0; c < m.size(1); ++c) out.data_mutable<float>()[c * m.size(0) + r] = m.data<float>()[r * m.size(1) + c];
  return out;
}

Tensor repeated(const Tensor& m, int64_t times) {
  Tensor out = Tensor::empty({times, m.size(0), m.size(1)}, DType::kF32);
  for (int64_t i = 0; i < times; ++i) std::memcpy(out.data_mutable<float>() + i * m.elements(), m.raw(), m.bytes());
  return out;
}

// kv_b's change is B·A (H · (nope + value), latent). Of head h, v_b's change is B_v·A, and k_b's, which is stored transposed,
// (B_k·A)ᵀ = Aᵀ·B_kᵀ: there Bᵀ plays the part of lora_a and Aᵀ that of lora_b.
void add_latent(std::map<std::string, Stack>& tensors, const std::string& whole, const io::LoraPair& pair, const models::ModelConfig& c) {
  const std::string prefix = whole.substr(0, whole.rfind("kv_b.weight"));
  // latent_half gives (H, R, nope) for keys, transposed per head, and (H, value, R) for values.
  tensors[prefix + "k_b.weight"] = {{models::latent_half(pair.b, c, Kind::kKeyHalf)}, {repeated(transposed(pair.a), c.heads)}, false};
  tensors[prefix + "v_b.weight"] = {{repeated(pair.a, c.heads)}, {models::latent_half(pair.b, c, Kind::kValueHalf)}, false};
}

void add_expert(Stack& stack, const io::LoraPair& pair, int64_t expert, int64_t experts) {
  stack.experts = true;
  stack.a.resize(static_cast<size_t>(experts));
  stack.b.resize(static_cast<size_t>(experts));
  stack.a[static_cast<size_t>(expert)] = pair.a;
  stack.b[static_cast<size_t>(expert)] = pair.b;
}

// Experts that were not adapted get zeros.
void fill(std::vector<Tensor>& list) {
  Shape shape;
  for (const Tensor& t : list)
    if (t.defined()) shape = t.shape();
  for (Tensor& t : list)
    if (!t.defined()) t = Tensor::zeros(shape, DType::kF32);
}

io::GgufEntry entry_of(const std::string& name, const std::vector<Tensor>& list, bool experts) {
  const Shape one = list[0].shape();
  return {name, DType::kF32, experts ? Shape{static_cast<int64_t>(list.size()), one[0], one[1]} : one};
}

}  // namespace

std::vector<std::string> write_gguf_lora(const std::filesystem::path& file, const io::LoraAdapter& adapter, const models::ModelSource& source) {
  const models::ModelConfig& config = source.config();
  const bool whole_latent = source.gguf() && !source.gguf()->has("blk.0.attn_k_b.weight");
  std::map<std::string, Stack> tensors;
  bool unapplied = false;
  for (const io::LoraPair& pair : adapter.pairs) {
    const std::string weight = pair.module + ".weight";
    if (!source.has(weight)) throw Error(ErrorCode::kInvalidInput, pair.module, "is not a linear layer of the base model", "the adapter was made for another model: name its base with --base");
    const bool latent_input = config.mla && pair.module.find("self_attn.") != std::string::npos && !pair.module.ends_with("o_proj");
    unapplied |= latent_input && !(whole_latent && pair.module.ends_with("kv_b_proj"));
    if (const auto expert = models::gguf_expert_stack(weight)) {
      add_expert(tensors[expert->tensor], pair, expert->expert, config.moe->n_routed_experts);
      continue;
    }
    const auto name = models::gguf_name(weight);
    if (!name) throw Error(ErrorCode::kUnsupported, pair.module, "has no name in GGUF", "use hone export --format gguf");
    if (pair.module.ends_with("kv_b_proj") && !whole_latent) {
      add_latent(tensors, *name, pair, config);
      continue;
    }
    const bool reorder = models::has_reordered_rows(config.family, pair.module);
    tensors[*name] = {{pair.a}, {reorder ? models::reorder_rotary_rows(pair.b, config.head_dim, models::RowOrder::kToGguf) : pair.b}, false};
  }
  std::vector<io::GgufEntry> entries;
  for (auto& [name, stack] : tensors) {
    if (stack.experts) {
      fill(stack.a);
      fill(stack.b);
    }
    entries.push_back(entry_of(name + ".lora_a", stack.a, stack.experts));
    entries.push_back(entry_of(name + ".lora_b", stack.b, stack.experts));
  }
  // llama.cpp scales by alpha / R; rsLoRA's alpha / √R is written as the alpha that gives the same.
  const io::GgufMetadata metadata = {{"general.architecture", std::string(models::name(config.family))},
                                     {"general.type", std::string("adapter")},
                                     {"adapter.type", std::string("lora")},
                                     {"adapter.lora.alpha", adapter.scale() * static_cast<double>(adapter.rank)}};
  io::GgufWriter writer(file, metadata, entries);
  for (const auto& [name, stack] : tensors)
    for (const auto* list : {&stack.a, &stack.b})
      for (const Tensor& t : *list) writer.write(t.raw(), t.bytes());
  writer.finish();
  if (!unapplied) return {};
  return {"llama.cpp loads this adapter but does not apply its part on latent attention (q, kv_a, kv_b): for llama.cpp use --format gguf, or train "
          "with lora.target [o_proj, mlp]"};
}

}  // namespace hone::recipes
