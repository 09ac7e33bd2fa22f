#include "models/gguf_layout.h"

#include <cmath>
#include <cstring>
#include <map>

#include "models/adapter.h"
#include "models/names.h"
#include "models/rope_table.h"

namespace hone::models {
namespace {

using GgufKind = GgufTensor::Kind;

bool rotary(const ModelConfig& config, const std::string& weight) {
  const std::string module = weight.substr(0, weight.rfind('.'));
  return has_reordered_rows(config.family, module);
}

void add_kv_b(std::vector<GgufTensor>& out, const ModelConfig& c, const std::string& weight, const std::string& whole) {
  const MlaConfig& m = *c.mla;
  const std::string prefix = whole.substr(0, whole.rfind("kv_b.weight"));
  out.push_back({prefix + "k_b.weight", {c.heads, m.kv_lora_rank, m.qk_nope_head_dim}, GgufKind::kKeyHalf, {weight}});
  out.push_back({prefix + "v_b.weight", {c.heads, m.v_head_dim, m.kv_lora_rank}, GgufKind::kValueHalf, {weight}});
}

}  // namespace

std::vector<GgufTensor> gguf_layout(const ModelSource& source, bool split_latent) {
  const ModelConfig& c = source.config();
  std::vector<GgufTensor> out;
  std::map<std::string, size_t> stacks;
  for (const std::string& weight : weight_names(c)) {
    if (!source.has(weight)) continue;
    if (const auto expert = gguf_expert_stack(weight)) {
      const auto [it, fresh] = stacks.emplace(expert->tensor, out.size());
      if (fresh) {
        const Shape one = source.tensor(weight).shape();
        out.push_back({expert->tensor, {c.moe->n_routed_experts, one[0], one[1]}, GgufKind::kExpertStack, {}});
      }
      out[it->second].parts.push_back(weight);
      continue;
    }
    const auto name = gguf_name(weight);
    HONE_CHECK(name.has_value(), "{} has no name in GGUF", weight);
    if (split_latent && weight.ends_with("kv_b_proj.weight")) add_kv_b(out, c, weight, *name);
    else out.push_back({*name, source.tensor(weight).shape(), rotary(c, weight) ? GgufKind::kRotaryRows : GgufKind::kWhole, {weight}});
  }
  return out;
}

Tensor latent_half(const Tensor& kv_b, const ModelConfig& c, GgufKind kind) {
  const bool keys = kind == GgufKind::kKeyHalf;
  const int64_t nope = c.mla->qk_nope_head_dim, value = c.mla->v_head_dim, cols = kv_b.size(1);
  Tensor out = keys ? Tensor::empty({c.heads, cols, nope}, DType::kF32) : Tensor::empty({c.heads, value, cols}, DType::kF32);
  const float* from = kv_b.data<float>();
  float* to = out.data_mutable<float>();
  for (int64_t h = 0; h < c.heads; ++h) {
    const float* head = from + h * (nope + value) * cols;
    if (!keys) {
      std::memcpy(to + h * value * cols, head + nope * cols, static_cast<size_t>(value * cols) * sizeof(float));
      continue;
    }
    for (int64_t n = 0; n < nope; ++n)
      for (int64_t l = 0; l < cols; ++l) to[(h * cols + l) * nope + n] = head[n * cols + l];
  }
  return out;
}

void gguf_values(const GgufTensor& tensor, const ModelConfig& config, const std::function<Tensor(const std::string&)>& weight,
                 const std::function<void(const Tensor&)>& piece) {
  switch (tensor.kind) {
    case GgufKind::kWhole:
    case GgufKind::kExpertStack:
      for (const std::string& part : tensor.parts) piece(weight(part));
      break;
    case GgufKind::kRotaryRows: piece(reorder_rotary_rows(weight(tensor.parts[0]), config.head_dim, RowOrder::kToGguf)); break;
    case GgufKind::kKeyHalf:
    case GgufKind::kValueHalf: piece(latent_half(weight(tensor.parts[0]), config, tensor.kind)); break;
  }
}

namespace {

// What llama.cpp's graphs compute of rope: see latent_scales in config_gguf.cc for deepseek2.
void add_rope(io::GgufMetadata& out, const ModelConfig& c, const std::string& prefix, const std::string& where) {
  const RopeConfig& r = c.rope;
  const auto put = [&](const char* key, io::GgufValue value) { out.emplace_back(prefix + key, std::move(value)); };
  const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::kUnsupported, where, what, "use --format safetensors"); };
  const bool yarn = r.scaling == RopeScaling::kYarn, linear = r.scaling == RopeScaling::kLinear;
  if (c.mla && !r.interleaved) refuse("rope_interleave false: GGUF's deepseek2 rotates neighbouring pairs");
  const double rotation = rotation_factor(r), log_factor = std::log(r.factor);
  double attn_factor = rotation / (yarn ? yarn_mscale(r.factor, 1) : 1), multiplier = 0;
  if (c.mla) {
    const double score = yarn && r.mscale_all_dim > 0 ? yarn_mscale(r.factor, r.mscale_all_dim) : 1;
    const double before = yarn ? rotation : 1 + 0.1 * log_factor;  // of the scores, where the multiplier is 0
    if (!yarn && std::abs(rotation - 1) > 1e-6) refuse("a rope attention factor without yarn: llama.cpp's deepseek2 scales the scores with it");
    if (linear && before <= 0) refuse("this factor of linear rope scaling");
    if (std::abs(score - before) > 1e-9) {
      if (log_factor == 0) refuse("a rope attention factor without a scaling factor");
      multiplier = (score / before - 1) / (0.1 * log_factor);
      attn_factor = rotation;
    }
  }
  if (yarn || linear) {
    put("rope.scaling.type", std::string(yarn ? "yarn" : "linear"));
    put("rope.scaling.factor", r.factor);
  }
  if (std::abs(attn_factor - 1) > 1e-6) put("rope.scaling.attn_factor", attn_factor);
  if (multiplier != 0) put("rope.scaling.yarn_log_multiplier", 0.1 * multiplier);
  if (!yarn) return;
  put("rope.scaling.original_context_length", static_cast<int64_t>(r.original_max_positions));
  put("rope.scaling.yarn_beta_fast", r.beta_fast);
  put("rope.scaling.yarn_beta_slow", r.beta_slow);
}

}  // namespace

std::vector<std::string> llama_cpp_obstacles(const ModelSource& source) {
  const ModelConfig& c = source.config();
  std::vector<std::string> out;
  const std::string_view family = name(c.family);
  for (const std::string& weight : weight_names(c)) {
    if (!weight.ends_with(".bias") || weight.ends_with("score_correction_bias") || !source.has(weight)) continue;
    const bool attention_input = weight.ends_with("q_proj.bias") || weight.ends_with("k_proj.bias") || weight.ends_with("v_proj.bias");
    if (c.family == Family::kLlama || (attention_input && !c.mla)) continue;
    out.push_back(fmt::format("bias \"{}\": llama.cpp's {} has no place for it", weight, family));
    break;
  }
  const RopeConfig& r = c.rope;
  if (c.family != Family::kLlama && (r.scaling == RopeScaling::kLlama3 || !r.freq_divisors.empty()))
    out.push_back(fmt::format("llama3's rope scaling: llama.cpp reads its factors in llama, not in {}", family));
  if (!c.mla && r.dim != c.head_dim) out.emplace_back("only a part of each head is rotated: llama.cpp rotates whole heads");
  if (r.scaling == RopeScaling::kYarn && (r.beta_fast != 32 || r.beta_slow != 1))
    out.push_back(fmt::format("yarn's beta_fast {:g} and beta_slow {:g}: llama.cpp takes 32 and 1 whatever a file says", r.beta_fast, r.beta_slow));
  if (c.family == Family::kQwen2 && c.heads * c.head_dim != c.hidden_size)
    out.push_back(fmt::format("{} heads of {} in a model {} wide: llama.cpp's qwen2 takes heads that fill the width", c.heads, c.head_dim, c.hidden_size));
  if (!c.mla) return out;
  // By its number of layers llama.cpp takes a model for DeepSeek-V2-Lite, whose queries have no latent.
  const bool lite = c.layers == 26 || c.layers == 27 || (c.layers == 48 && c.vocab_size == 128256);
  if (lite && c.mla->q_lora_rank > 0)
    out.push_back(fmt::format("{} layers with q_lora_rank: llama.cpp takes the queries of such a model for whole ones", c.layers));
  if (!c.moe) return out;
  const MoeConfig& m = *c.moe;
  if (m.n_shared_experts == 0) out.emplace_back("experts without a shared one: llama.cpp's deepseek2 always adds shared experts");
  if (m.n_group == m.n_routed_experts && m.topk_group < m.n_group) out.emplace_back("groups of one expert: llama.cpp ranks groups by two of their experts");
  return out;
}

std::vector<std::string> llama_cpp_notes(const ModelConfig& c) {
  if (!c.moe || c.moe->group_by_top2 || c.moe->n_group <= 1 || c.moe->topk_group == c.moe->n_group) return {};
  return {"llama.cpp ranks groups of experts by their two best, this model (DeepSeek-V2) was trained to rank them by the best one: llama.cpp's answers may differ"};
}

io::GgufMetadata gguf_architecture(const ModelConfig& c, const std::string& where) {
  const std::string arch(name(c.family)), prefix = arch + ".";
  io::GgufMetadata out = {{"general.architecture", arch}};
  const auto put = [&](const char* key, io::GgufValue value) { out.emplace_back(prefix + key, std::move(value)); };
  put("vocab_size", c.vocab_size);
  put("context_length", c.max_positions);
  put("embedding_length", c.hidden_size);
  put("block_count", c.layers);
  put("feed_forward_length", c.intermediate_size);
  put("attention.head_count", c.heads);
  put("attention.layer_norm_rms_epsilon", double{c.rms_eps});
  put("rope.freq_base", c.rope.theta);
  put("rope.dimension_count", c.rope.dim);
  if (c.mla) {
    const MlaConfig& m = *c.mla;
    // Latent attention is stored as attention to one shared key of the latent's size; the heads' own sizes are the _mla ones.
    put("attention.head_count_kv", int64_t{1});
    put("attention.key_length", m.kv_lora_rank + m.qk_rope_head_dim);
    put("attention.value_length", m.kv_lora_rank);
    put("attention.key_length_mla", m.qk_nope_head_dim + m.qk_rope_head_dim);
    put("attention.value_length_mla", m.v_head_dim);
    put("attention.q_lora_rank", m.q_lora_rank);
    put("attention.kv_lora_rank", m.kv_lora_rank);
    put("leading_dense_block_count", c.moe ? c.moe->first_dense_layers : c.layers);
    put("expert_feed_forward_length", c.moe ? c.moe->intermediate_size : c.intermediate_size);
    put("expert_shared_count", c.moe ? c.moe->n_shared_experts : int64_t{0});
  } else {
    put("attention.head_count_kv", c.kv_heads);
    put("attention.key_length", c.head_dim);
    put("attention.value_length", c.head_dim);
  }
  if (c.moe) {
    put("expert_count", c.moe->n_routed_experts);
    put("expert_used_count", c.moe->top_k);
    put("expert_weights_scale", c.moe->routed_scaling_factor);
    put("expert_weights_norm", c.moe->norm_topk_prob);
    put("expert_gating_func", int64_t{c.moe->sigmoid ? 2 : 1});
    // llama.cpp aborts unless fewer groups are used than there are; to choose among all of them is to have none.
    const bool grouped = c.moe->n_group > 1 && c.moe->topk_group < c.moe->n_group;
    if (c.moe->n_routed_experts > 1) {
      put("expert_group_count", grouped ? c.moe->n_group : int64_t{1});
      put("expert_group_used_count", grouped ? c.moe->topk_group : int64_t{1});
    }
  }
  add_rope(out, c, prefix, where);
  return out;
}

}  // namespace hone::models
