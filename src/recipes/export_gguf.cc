#include "recipes/export_gguf.h"

#include <cstring>
#include <map>

#include "base/error.h"
#include "base/thread_pool.h"
#include "io/gguf_writer.h"
#include "models/adapter.h"
#include "models/names.h"
#include "quant/codec.h"
#include "recipes/merged_weights.h"

namespace hone::recipes {
namespace {

struct OutputType {
  std::string_view word;
  int64_t file_type;  // llama.cpp's number for general.file_type
  DType matrix;
};
constexpr OutputType kTypes[] = {{"f32", 0, DType::kF32},   {"f16", 1, DType::kF16},     {"q4_0", 2, DType::kQ4_0}, {"q8_0", 7, DType::kQ8_0},
                                 {"q4_k_m", 15, DType::kQ4_K}, {"q6_k", 18, DType::kQ6_K}, {"bf16", 32, DType::kBF16}};

const OutputType& output_type(std::string word) {
  for (char& c : word)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  std::string known;
  for (const OutputType& type : kTypes) {
    if (type.word == word) return type;
    known += (known.empty() ? "" : ", ") + std::string(type.word);
  }
  throw Error(ErrorCode::kInvalidInput, "--type", fmt::format("unknown GGUF type \"{}\"", word), "known: " + known);
}

// The layer number in "blk.7.attn_v.weight"; −1 for tensors outside the layers.
int64_t layer_of(const std::string& name) { return name.starts_with("blk.") ? std::strtoll(name.c_str() + 4, nullptr, 10) : -1; }

// What a tensor is written as. "Q4_K_M" gives six bits to the head, and to values and down projections in half of the layers,
// where errors cost most.
DType type_of(const std::string& name, const Tensor& stored, const OutputType& wanted, int64_t layers) {
  const bool vector = stored.shape().rank() == 1, router = name.find("ffn_gate_inp") != std::string::npos || name.find("exp_probs_b") != std::string::npos;
  if (vector || router) return DType::kF32;
  DType type = wanted.matrix;
  if (type == DType::kQ4_K) {
    const int64_t layer = layer_of(name);
    const bool costly = name.find("attn_v.") != std::string::npos || name.find("ffn_down") != std::string::npos;
    const bool chosen = layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
    if (name == "output.weight" || (costly && layer >= 0 && chosen)) type = DType::kQ6_K;
  }
  const int64_t cols = stored.shape()[-1];
  if (cols % traits(type).block_elements == 0) return type;
  if (type == DType::kQ4_K) type = DType::kQ5_0;
  else if (type == DType::kQ6_K) type = DType::kQ8_0;
  return cols % traits(type).block_elements == 0 ? type : DType::kF16;
}

Tensor encoded(const Tensor& values, DType type) {
  Tensor out = Tensor::empty(values.shape(), type);
  const int64_t cols = values.shape()[-1], rows = values.elements() / cols, bytes = row_bytes(type, cols);
  ThreadPool::global().ranges(rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      quant::encode_row(type, values.data<float>() + r * cols, cols, static_cast<std::byte*>(out.raw_mutable()) + r * bytes);
  });
  return out;
}

Tensor decoded(const Tensor& stored) {
  Tensor values = Tensor::empty(stored.shape(), DType::kF32);
  const int64_t cols = stored.shape()[-1], rows = stored.elements() / cols, bytes = row_bytes(stored.dtype(), cols);
  ThreadPool::global().ranges(rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      quant::decode_row(stored.dtype(), static_cast<const std::byte*>(stored.raw()) + r * bytes, cols, values.data_mutable<float>() + r * cols);
  });
  return values;
}

// Canonical weights that a GGUF tensor is made of: one, or one per expert, or kv_b for its two halves.
class GgufParts {
 public:
  GgufParts(const models::ModelConfig& config) {
    for (const std::string& module : models::lora_targets(config, {})) add(module + ".weight");
    for (const char* name : {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}) add(name);
    for (int64_t layer = 0; layer < config.layers; ++layer)
      for (const char* name : {"input_layernorm", "post_attention_layernorm", "self_attn.q_norm", "self_attn.k_norm", "self_attn.q_a_layernorm",
                               "self_attn.kv_a_layernorm", "mlp.gate"})
        add(fmt::format("model.layers.{}.{}.weight", layer, name));
    for (const std::string& module : models::lora_targets(config, {})) add(module + ".bias");
  }
  const std::vector<std::string>* find(const std::string& tensor) const {
    const auto it = parts_.find(tensor);
    return it == parts_.end() ? nullptr : &it->second;
  }

 private:
  void add(const std::string& canonical) {
    if (const auto expert = models::gguf_expert_stack(canonical)) {
      auto& list = parts_[expert->tensor];
      list.resize(std::max(list.size(), static_cast<size_t>(expert->expert) + 1));
      list[static_cast<size_t>(expert->expert)] = canonical;
      return;
    }
    const auto name = models::gguf_name(canonical);
    if (!name) return;
    parts_[*name] = {canonical};
    constexpr std::string_view kWhole = "attn_kv_b.weight";
    if (!name->ends_with(kWhole)) return;
    const std::string prefix = name->substr(0, name->size() - kWhole.size());
    parts_[prefix + "attn_k_b.weight"] = parts_[prefix + "attn_v_b.weight"] = {canonical};
  }
  std::map<std::string, std::vector<std::string>> parts_;
};

// attn_k_b (H, latent, nope), transposed per head, or attn_v_b (H, value, latent), out of kv_b (H · (nope + value), latent).
Tensor half_of_kv_b(const Tensor& whole, const models::ModelConfig& c, bool keys) {
  const int64_t nope = c.mla->qk_nope_head_dim, value = c.mla->v_head_dim, latent = c.mla->kv_lora_rank;
  Tensor out = keys ? Tensor::empty({c.heads, latent, nope}, DType::kF32) : Tensor::empty({c.heads, value, latent}, DType::kF32);
  const float* from = whole.data<float>();
  float* to = out.data_mutable<float>();
  for (int64_t h = 0; h < c.heads; ++h) {
    const float* head = from + h * (nope + value) * latent;
    if (!keys) std::memcpy(to + h * value * latent, head + nope * latent, static_cast<size_t>(value * latent) * 4);
    else
      for (int64_t n = 0; n < nope; ++n)
        for (int64_t l = 0; l < latent; ++l) to[(h * latent + l) * nope + n] = head[n * latent + l];
  }
  return out;
}

Tensor merged_tensor(const std::string& name, const Tensor& stored, const std::vector<std::string>& parts, const MergedWeights& merged, const models::ModelConfig& config) {
  if (name.ends_with("attn_k_b.weight") || name.ends_with("attn_v_b.weight")) return half_of_kv_b(merged.f32(parts[0]), config, name.ends_with("attn_k_b.weight"));
  if (parts.size() == 1 && stored.shape().rank() < 3) return merged.f32(parts[0]);
  Tensor stack = Tensor::empty(stored.shape(), DType::kF32);
  for (size_t e = 0; e < parts.size(); ++e) {
    const Tensor expert = merged.f32(parts[e]);
    std::memcpy(stack.data_mutable<float>() + static_cast<int64_t>(e) * expert.elements(), expert.raw(), expert.bytes());
  }
  return stack;
}

}  // namespace

void write_gguf_lora(const std::filesystem::path& file, const io::LoraAdapter& adapter, const models::ModelConfig& config) {
  struct Stack {
    std::vector<Tensor> a, b;
    bool experts = false;
  };
  std::map<std::string, Stack> tensors;
  for (const io::LoraPair& pair : adapter.pairs) {
    if (pair.module.ends_with("kv_b_proj"))
      throw Error(ErrorCode::kUnsupported, pair.module, "llama.cpp cannot apply an adapter to kv_b_proj, whose halves it multiplies by directly",
                  "use hone export --format gguf, or train without it (lora.target)");
    const Tensor b = models::has_reordered_rows(config.family, pair.module) ? models::reorder_rotary_rows(pair.b, config.head_dim, models::RowOrder::kToGguf) : pair.b;
    const auto expert = models::gguf_expert_stack(pair.module + ".weight");
    const auto name = expert ? expert->tensor : models::gguf_name(pair.module + ".weight");
    if (!name) throw Error(ErrorCode::kUnsupported, pair.module, "has no name in GGUF", "use hone export --format gguf");
    Stack& stack = tensors[*name];
    stack.experts = expert.has_value();
    const size_t at = expert ? static_cast<size_t>(expert->expert) : 0;
    const size_t count = expert ? static_cast<size_t>(config.moe->n_routed_experts) : 1;
    stack.a.resize(count);
    stack.b.resize(count);
    stack.a[at] = pair.a;
    stack.b[at] = b;
  }
  std::vector<io::GgufEntry> entries;
  for (const auto& [name, stack] : tensors) {
    for (const auto* list : {&stack.a, &stack.b})
      for (const Tensor& t : *list)
        if (!t.defined()) throw Error(ErrorCode::kUnsupported, name, "only some of its experts have an adapter", "use hone export --format gguf");
    const auto count = static_cast<int64_t>(stack.a.size());
    const Shape a = stack.a[0].shape(), b = stack.b[0].shape();
    entries.push_back({name + ".lora_a", DType::kF32, stack.experts ? Shape{count, a[0], a[1]} : a});
    entries.push_back({name + ".lora_b", DType::kF32, stack.experts ? Shape{count, b[0], b[1]} : b});
  }
  // llama.cpp scales by alpha / R; rsLoRA's alpha / √R is written as the alpha that gives the same.
  const io::GgufMetadata metadata = {{"general.architecture", std::string(models::name(config.family))},
                                     {"general.type", std::string("adapter")},
                                     {"adapter.type", std::string("lora")},
                                     {"adapter.lora.alpha", adapter.scale() * static_cast<double>(adapter.rank)}};
  io::GgufWriter writer(file, metadata, entries);
  for (const auto& [name, stack] : tensors)
    for (const auto* list : {&stack.a, &stack.b}) {
      std::string bytes;
      for (const Tensor& t : *list) bytes.append(static_cast<const char*>(t.raw()), t.bytes());
      writer.write(bytes.data(), bytes.size());
    }
  writer.finish();
}

void write_merged_gguf(const std::filesystem::path& file, const models::ModelSource& source, models::CausalLm& model, const std::string& type) {
  const io::Gguf* gguf = source.gguf();
  if (!gguf)
    throw Error(ErrorCode::kUnsupported, source.path().string(), "a Hugging Face folder is merged into safetensors, not into GGUF",
                "use --format safetensors; llama.cpp's converter makes GGUF of the result");
  const OutputType& wanted = output_type(type);
  const MergedWeights merged(model, source);
  const GgufParts parts(source.config());
  io::GgufMetadata metadata;
  for (const auto& [key, value] : gguf->metadata())
    if (key != "general.file_type" && key != "general.alignment") metadata.emplace_back(key, value);
  metadata.emplace_back("general.file_type", wanted.file_type);
  std::vector<io::GgufEntry> entries;
  for (const std::string& name : gguf->tensor_names()) {
    const Tensor stored = gguf->tensor(name);
    entries.push_back({name, type_of(name, stored, wanted, source.config().layers), stored.shape()});
  }
  io::GgufWriter writer(file, metadata, entries);
  for (const io::GgufEntry& entry : entries) {
    const Tensor stored = gguf->tensor(entry.name);
    const auto* names = parts.find(entry.name);
    const bool changed = names && std::any_of(names->begin(), names->end(), [&](const std::string& n) { return merged.changed(n); });
    if (!changed && stored.dtype() == entry.type) {
      writer.write(stored.raw(), stored.bytes());
      continue;
    }
    const Tensor out = encoded(changed ? merged_tensor(entry.name, stored, *names, merged, source.config()) : decoded(stored), entry.type);
    writer.write(out.raw(), out.bytes());
  }
  writer.finish();
}

}  // namespace hone::recipes
