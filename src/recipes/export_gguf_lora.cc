#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "base/error.h"
#include "models/adapter.h"
#include "models/gguf_layout.h"
#include "models/names.h"
#include "recipes/export_gguf.h"
#include "recipes/run_chat.h"

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

// llama.cpp scales every tensor by the file's one alpha over the tensor's own R: what a pair's scale is beyond that goes into B.
io::LoraPair scaled(const io::LoraAdapter& adapter, io::LoraPair pair, double alpha) {
  const double ratio = adapter.scale(pair) * static_cast<double>(pair.a.size(0)) / alpha;
  if (std::abs(ratio - 1) < 1e-12) return pair;
  pair.b = pair.b.clone();
  for (int64_t i = 0; i < pair.b.elements(); ++i) pair.b.data_mutable<float>()[i] *= static_cast<float>(ratio);
  return pair;
}

// The file's alpha: what most pairs need, and not 0, which llama.cpp takes for no scaling.
double common_alpha(const io::LoraAdapter& adapter) {
  std::map<double, size_t> counts;
  for (const io::LoraPair& pair : adapter.pairs)
    if (const double alpha = adapter.scale(pair) * static_cast<double>(pair.a.size(0)); alpha != 0) ++counts[alpha];
  const auto most = std::max_element(counts.begin(), counts.end(), [](const auto& x, const auto& y) { return x.second < y.second; });
  return most == counts.end() ? 1 : most->first;
}

// The same product with zeros up to a larger R; B is scaled for what alpha / R loses.
void widen(Tensor& a, Tensor& b, int64_t rank) {
  const int64_t own = a.size(0), cols = a.size(1);
  if (own == rank) return;
  Tensor wide_a = Tensor::zeros({rank, cols}, DType::kF32), wide_b = Tensor::zeros({b.size(0), rank}, DType::kF32);
  std::memcpy(wide_a.raw_mutable(), a.raw(), a.bytes());
  const float ratio = static_cast<float>(rank) / static_cast<float>(own);
  for (int64_t n = 0; n < b.size(0); ++n)
    for (int64_t r = 0; r < own; ++r) wide_b.data_mutable<float>()[n * rank + r] = ratio * b.data<float>()[n * own + r];
  a = wide_a;
  b = wide_b;
}

void add_expert(Stack& stack, const io::LoraPair& pair, int64_t expert, int64_t experts) {
  stack.experts = true;
  stack.a.resize(static_cast<size_t>(experts));
  stack.b.resize(static_cast<size_t>(experts));
  stack.a[static_cast<size_t>(expert)] = pair.a;
  stack.b[static_cast<size_t>(expert)] = pair.b;
}

// Experts that were not adapted get zeros, those with a smaller R too.
void fill(Stack& stack) {
  int64_t rank = 0, in = 0, out = 0;
  for (size_t e = 0; e < stack.a.size(); ++e) {
    if (!stack.a[e].defined()) continue;
    rank = std::max(rank, stack.a[e].size(0));
    in = stack.a[e].size(1);
    out = stack.b[e].size(0);
  }
  for (size_t e = 0; e < stack.a.size(); ++e) {
    if (stack.a[e].defined()) {
      widen(stack.a[e], stack.b[e], rank);
    } else {
      stack.a[e] = Tensor::zeros({rank, in}, DType::kF32);
      stack.b[e] = Tensor::zeros({out, rank}, DType::kF32);
    }
  }
}

io::GgufEntry entry_of(const std::string& name, const std::vector<Tensor>& list, bool experts) {
  const Shape one = list[0].shape();
  return {name, DType::kF32, experts ? Shape{static_cast<int64_t>(list.size()), one[0], one[1]} : one};
}

}  // namespace

std::vector<std::string> write_gguf_lora(const std::filesystem::path& file, const io::LoraAdapter& adapter,
                                         const models::ModelSource& source, const RunChat& taught) {
  const models::ModelConfig& config = source.config();
  const auto refuse = [](const std::string& what) { throw Error(ErrorCode::kUnsupported, "--format gguf-lora", what, "merge it: hone export --format gguf"); };
  if (!adapter.whole.empty()) refuse(fmt::format("GGUF adapters hold low-rank changes only; this one replaces {}", adapter.whole.front().first));
  if (adapter.has_dora()) refuse("GGUF adapters hold no magnitudes of DoRA");
  const bool whole_latent = source.gguf() && !source.gguf()->has("blk.0.attn_k_b.weight");
  std::map<std::string, Stack> tensors;
  bool unapplied = false;
  const double alpha = common_alpha(adapter);
  for (const io::LoraPair& stored : adapter.pairs) {
    const io::LoraPair pair = scaled(adapter, stored, alpha);
    const std::string weight = pair.module + ".weight";
    const bool tied = config.tied_head && (pair.module == "model.embed_tokens" || pair.module == "lm_head");
    // llama.cpp finds adapters by the weight's name, and a tied head has the embedding's: it would apply the one to the other.
    if (tied) refuse(fmt::format("{} is adapted, and the base ties head and embedding, which llama.cpp cannot tell apart", pair.module));
    if (!source.has(weight)) throw Error(ErrorCode::kInvalidInput, pair.module, "is not a linear layer of the base model", "the adapter was made for another model: name its base with --base");
    const bool latent_input = config.mla && pair.module.find("self_attn.") != std::string::npos && !pair.module.ends_with("o_proj");
    unapplied |= latent_input && !(whole_latent && pair.module.ends_with("kv_b_proj"));
    if (pair.module == "model.embed_tokens") {  // there a token's part of A is a row
      tensors["token_embd.weight"] = {{transposed(pair.a)}, {pair.b}, false};
      continue;
    }
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
    if (stack.experts) fill(stack);
    entries.push_back(entry_of(name + ".lora_a", stack.a, stack.experts));
    entries.push_back(entry_of(name + ".lora_b", stack.b, stack.experts));
  }
  io::GgufMetadata metadata = {{"general.architecture", std::string(models::name(config.family))},
                               {"general.type", std::string("adapter")},
                               {"adapter.type", std::string("lora")},
                               {"adapter.lora.alpha", alpha}};
  for (auto& entry : run_chat_metadata(taught)) metadata.push_back(std::move(entry));
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
