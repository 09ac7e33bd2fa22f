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

io::GgufMetadata gguf_architecture(const ModelConfig& c, const std::string& where) {
  const std::string arch(name(c.family)), prefix = arch + ".";
  if (c.family == Family::kDeepseek2 && !c.rope.interleaved)
    throw Error(ErrorCode::kUnsupported, where, "rope_interleave false: GGUF's deepseek2 rotates neighbouring pairs", "use --format safetensors");
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
    put("expert_group_count", c.moe->n_group);
    put("expert_group_used_count", c.moe->topk_group);
  }
  const RopeConfig& r = c.rope;
  if (r.scaling == RopeScaling::kLinear) {
    put("rope.scaling.type", std::string("linear"));
    put("rope.scaling.factor", r.factor);
  } else if (r.scaling == RopeScaling::kYarn) {
    // Readers take the attention factor of the paper, or the ratio 1 of DeepSeek's two equal factors.
    const double plain = yarn_mscale(r.factor, 1), given = r.attention_factor.value_or(plain);
    if (std::abs(given - plain) > 1e-4 * plain || (c.mla && r.mscale != r.mscale_all_dim))
      throw Error(ErrorCode::kUnsupported, where, "GGUF cannot hold this yarn attention factor (attention_factor, or mscale other than mscale_all_dim)", "use --format safetensors");
    put("rope.scaling.type", std::string("yarn"));
    put("rope.scaling.factor", r.factor);
    put("rope.scaling.original_context_length", static_cast<int64_t>(r.original_max_positions));
    put("rope.scaling.yarn_beta_fast", r.beta_fast);
    put("rope.scaling.yarn_beta_slow", r.beta_slow);
    if (r.mscale_all_dim > 0) put("rope.scaling.yarn_log_multiplier", 0.1 * r.mscale_all_dim);
  }
  return out;
}

}  // namespace hone::models
