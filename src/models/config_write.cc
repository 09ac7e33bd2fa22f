#include "models/config_write.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "models/rope_table.h"

namespace hone::models {
namespace {

using Json = nlohmann::ordered_json;

class Writer {
 public:
  explicit Writer(const ModelSource& source) : source_(source), c_(source.config()) {}

  Json write(DType weights) {
    const bool v3 = c_.moe && c_.moe->sigmoid;
    switch (c_.family) {
      case Family::kLlama: kind("LlamaForCausalLM", "llama"); break;
      case Family::kQwen2: kind("Qwen2ForCausalLM", "qwen2"); break;
      case Family::kQwen3: kind("Qwen3ForCausalLM", "qwen3"); break;
      case Family::kDeepseek2: kind(v3 ? "DeepseekV3ForCausalLM" : "DeepseekV2ForCausalLM", v3 ? "deepseek_v3" : "deepseek_v2"); break;
    }
    out_["vocab_size"] = c_.vocab_size;
    out_["hidden_size"] = c_.hidden_size;
    out_["intermediate_size"] = c_.intermediate_size;
    out_["num_hidden_layers"] = c_.layers;
    out_["num_attention_heads"] = c_.heads;
    out_["num_key_value_heads"] = c_.kv_heads;
    if (c_.family != Family::kDeepseek2) out_["head_dim"] = c_.head_dim;
    out_["hidden_act"] = "silu";
    out_["max_position_embeddings"] = c_.max_positions;
    // The nearest number that is the same float, not its double expansion.
    out_["rms_norm_eps"] = shortest(c_.rms_eps);
    out_["tie_word_embeddings"] = c_.tied_head;
    biases();
    if (c_.mla) latent_attention();
    if (c_.moe) experts(v3);
    rope();
    if (c_.bos_id >= 0) out_["bos_token_id"] = c_.bos_id;
    if (c_.eos_ids.size() == 1) out_["eos_token_id"] = c_.eos_ids[0];
    if (c_.eos_ids.size() > 1) out_["eos_token_id"] = c_.eos_ids;
    out_["use_cache"] = true;
    out_["torch_dtype"] = weights == DType::kF32 ? "float32" : weights == DType::kF16 ? "float16" : "bfloat16";
    return std::move(out_);
  }

 private:
  [[noreturn]] void cannot(const std::string& what) const {
    throw Error(ErrorCode::kUnsupported, source_.path().string(), fmt::format("transformers' {} has no {}", out_["model_type"].get<std::string>(), what), "use --format gguf");
  }
  void kind(const char* architecture, const char* type) {
    out_["architectures"] = {architecture};
    out_["model_type"] = type;
  }
  static double shortest(float value) { return std::stod(fmt::format("{}", value)); }
  bool has(const char* module) const {
    // The last layer: earlier ones may lack a kind of layer (experts).
    return source_.has(fmt::format("model.layers.{}.{}.bias", c_.layers - 1, module));
  }

  void biases() {
    const bool q = has(c_.mla ? (c_.mla->q_lora_rank > 0 ? "self_attn.q_a_proj" : "self_attn.kv_a_proj_with_mqa") : "self_attn.q_proj");
    const bool o = has("self_attn.o_proj");
    if (c_.family == Family::kQwen2) {
      if (!q) cannot("attention without biases");
    } else {
      if (q != o) cannot("bias on only some of the attention's layers");
      out_["attention_bias"] = q;
    }
    const bool mlp = has(c_.is_moe_layer(c_.layers - 1) ? "mlp.shared_experts.gate_proj" : "mlp.gate_proj");
    if (c_.family == Family::kLlama || (c_.family == Family::kDeepseek2 && !(c_.moe && c_.moe->sigmoid))) out_["mlp_bias"] = mlp;
    else if (mlp) cannot("bias in the feed-forward layers");
  }

  void latent_attention() {
    const MlaConfig& m = *c_.mla;
    out_["q_lora_rank"] = m.q_lora_rank > 0 ? Json(m.q_lora_rank) : Json();
    out_["kv_lora_rank"] = m.kv_lora_rank;
    out_["qk_nope_head_dim"] = m.qk_nope_head_dim;
    out_["qk_rope_head_dim"] = m.qk_rope_head_dim;
    out_["v_head_dim"] = m.v_head_dim;
  }

  void experts(bool v3) {
    const MoeConfig& m = *c_.moe;
    out_["n_routed_experts"] = m.n_routed_experts;
    out_["n_shared_experts"] = m.n_shared_experts;
    out_["num_experts_per_tok"] = m.top_k;
    out_["moe_intermediate_size"] = m.intermediate_size;
    out_["first_k_dense_replace"] = m.first_dense_layers;
    out_["moe_layer_freq"] = 1;
    out_["routed_scaling_factor"] = shortest(static_cast<float>(m.routed_scaling_factor));
    out_["norm_topk_prob"] = m.norm_topk_prob;
    out_["n_group"] = m.n_group;
    out_["topk_group"] = m.topk_group;
    out_["scoring_func"] = v3 ? "sigmoid" : "softmax";
    out_["topk_method"] = v3 ? "noaux_tc" : m.n_group > 1 ? "group_limited_greedy" : "greedy";
    if (!v3 && m.norm_topk_prob && m.top_k > 1) cannot("normalised weights of experts");
  }

  void rope() {
    const RopeConfig& r = c_.rope;
    if (c_.family != Family::kDeepseek2 && r.dim != c_.head_dim) cannot("rotation of only a part of each head");
    out_["rope_theta"] = shortest(static_cast<float>(r.theta));
    Json scaling;
    switch (r.scaling) {
      case RopeScaling::kNone: break;
      case RopeScaling::kLinear: scaling = {{"rope_type", "linear"}, {"factor", shortest(static_cast<float>(r.factor))}}; break;
      case RopeScaling::kLlama3: scaling = llama3(r); break;
      case RopeScaling::kYarn:
        scaling = {{"rope_type", "yarn"}, {"factor", shortest(static_cast<float>(r.factor))}, {"original_max_position_embeddings", static_cast<int64_t>(r.original_max_positions)},
                   {"beta_fast", r.beta_fast}, {"beta_slow", r.beta_slow}};
        if (r.attention_factor) scaling["attention_factor"] = *r.attention_factor;
        if (r.mscale_all_dim > 0) scaling.update({{"mscale", shortest(static_cast<float>(r.mscale))}, {"mscale_all_dim", shortest(static_cast<float>(r.mscale_all_dim))}});
        break;
    }
    if (!r.freq_divisors.empty()) {
      if (r.scaling != RopeScaling::kNone) cannot("rope factors on top of another scaling");
      scaling = llama3(found_llama3(r));
    }
    if (!scaling.is_null()) {
      scaling["type"] = scaling["rope_type"];  // read by older versions
      out_["rope_scaling"] = scaling;
    }
  }

  static Json llama3(const RopeConfig& r) {
    return {{"rope_type", "llama3"}, {"factor", r.factor}, {"low_freq_factor", r.low_freq_factor}, {"high_freq_factor", r.high_freq_factor},
            {"original_max_position_embeddings", static_cast<int64_t>(r.original_max_positions)}};
  }

  // GGUF keeps only what llama3's rule made of its four numbers. The largest divisor is the factor; the two bounds are 1 and 4 in
  // every published model, and the original length is a power of two.
  RopeConfig found_llama3(const RopeConfig& stored) const {
    RopeConfig r = stored;
    r.factor = 1;
    for (const float divisor : stored.freq_divisors) r.factor = std::max(r.factor, std::round(double{divisor} * 1e4) / 1e4);
    r.low_freq_factor = 1;
    r.high_freq_factor = 4;
    for (int64_t original = 16; original <= int64_t{1} << 24; original *= 2) {
      r.original_max_positions = static_cast<double>(original);
      const std::vector<float> divisors = llama3_divisors(r);
      bool same = true;
      for (size_t i = 0; i < divisors.size(); ++i) same &= std::abs(divisors[i] - stored.freq_divisors[i]) <= 1e-4f * divisors[i];
      if (same) return r;
    }
    cannot("name for the rope factors of this file");
  }

  const ModelSource& source_;
  const ModelConfig& c_;
  Json out_;
};

}  // namespace

Json hugging_face_config(const ModelSource& source, DType weights) { return Writer(source).write(weights); }

}  // namespace hone::models
