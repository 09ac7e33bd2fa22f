#include "models/weights.h"

namespace hone::models {
namespace {

class Walk {
 public:
  Walk(const ModelConfig& config, const std::function<void(const Weight&)>& fn) : c_(config), fn_(fn) {}

  void run() {
    weight("model.embed_tokens.weight", {c_.vocab_size, c_.hidden_size});
    weight("model.norm.weight", {c_.hidden_size});
    if (!c_.tied_head) weight("lm_head.weight", {c_.vocab_size, c_.hidden_size});
    for (int64_t layer = 0; layer < c_.layers; ++layer) {
      prefix_ = "model.layers." + std::to_string(layer) + ".";
      weight("input_layernorm.weight", {c_.hidden_size});
      weight("post_attention_layernorm.weight", {c_.hidden_size});
      if (c_.mla)
        latent_attention();
      else
        attention();
      if (c_.is_moe_layer(layer))
        experts();
      else
        gated("mlp.", c_.intermediate_size, c_.mlp_bias);
    }
  }

 private:
  void weight(const std::string& name, const Shape& shape, Presence presence = Presence::kRequired) const {
    fn_({prefix_ + name, shape, presence});
  }
  // `biased`: whether the architecture gives this layer a bias; unset when only the file knows.
  void linear(const std::string& name, int64_t out, int64_t in, std::optional<bool> biased = false) const {
    weight(name + ".weight", {out, in});
    weight(name + ".bias", {out}, !biased ? Presence::kOptional : *biased ? Presence::kRequired : Presence::kForbidden);
  }
  void gated(const std::string& at, int64_t width, std::optional<bool> biased = false) const {
    linear(at + "gate_proj", width, c_.hidden_size, biased);
    linear(at + "up_proj", width, c_.hidden_size, biased);
    linear(at + "down_proj", c_.hidden_size, width, biased);
  }
  void attention() const {
    linear("self_attn.q_proj", c_.heads * c_.head_dim, c_.hidden_size, c_.qkv_bias);
    linear("self_attn.k_proj", c_.kv_heads * c_.head_dim, c_.hidden_size, c_.qkv_bias);
    linear("self_attn.v_proj", c_.kv_heads * c_.head_dim, c_.hidden_size, c_.qkv_bias);
    linear("self_attn.o_proj", c_.hidden_size, c_.heads * c_.head_dim, c_.output_bias);
    if (!c_.qk_norm) return;
    weight("self_attn.q_norm.weight", {c_.head_dim});
    weight("self_attn.k_norm.weight", {c_.head_dim});
  }
  void latent_attention() const {
    const MlaConfig& m = *c_.mla;
    const int64_t query = c_.heads * (m.qk_nope_head_dim + m.qk_rope_head_dim);
    if (m.q_lora_rank > 0) {
      linear("self_attn.q_a_proj", m.q_lora_rank, c_.hidden_size, c_.qkv_bias);
      weight("self_attn.q_a_layernorm.weight", {m.q_lora_rank});
      linear("self_attn.q_b_proj", query, m.q_lora_rank);
    } else {
      linear("self_attn.q_proj", query, c_.hidden_size);
    }
    linear("self_attn.kv_a_proj_with_mqa", m.kv_lora_rank + m.qk_rope_head_dim, c_.hidden_size, c_.qkv_bias);
    weight("self_attn.kv_a_layernorm.weight", {m.kv_lora_rank});
    linear("self_attn.kv_b_proj", c_.heads * (m.qk_nope_head_dim + m.v_head_dim), m.kv_lora_rank);
    linear("self_attn.o_proj", c_.hidden_size, c_.heads * m.v_head_dim, c_.output_bias);
  }
  void experts() const {
    const MoeConfig& m = *c_.moe;
    weight("mlp.gate.weight", {m.n_routed_experts, c_.hidden_size});
    weight("mlp.gate.e_score_correction_bias", {m.n_routed_experts}, m.sigmoid ? Presence::kRequired : Presence::kOptional);
    for (int64_t e = 0; e < m.n_routed_experts; ++e)
      gated("mlp.experts." + std::to_string(e) + ".", m.intermediate_size);
    if (m.n_shared_experts > 0) gated("mlp.shared_experts.", m.n_shared_experts * m.intermediate_size, c_.mlp_bias);
  }

  const ModelConfig& c_;
  const std::function<void(const Weight&)>& fn_;
  std::string prefix_;
};

}  // namespace

void each_weight(const ModelConfig& config, const std::function<void(const Weight&)>& fn) { Walk(config, fn).run(); }

}  // namespace hone::models
