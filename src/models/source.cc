#include "models/source.h"

#include "models/source_gguf.h"
#include "models/source_hf.h"

namespace hone::models {
namespace {

// Asks the source for every weight of the architecture and compares shapes.
class WeightCheck {
 public:
  explicit WeightCheck(const ModelSource& source) : source_(source), c_(source.config()) {}

  void run() {
    expect("model.embed_tokens.weight", {c_.vocab_size, c_.hidden_size});
    expect("model.norm.weight", {c_.hidden_size});
    if (!c_.tied_head) expect("lm_head.weight", {c_.vocab_size, c_.hidden_size});
    for (int64_t layer = 0; layer < c_.layers; ++layer) {
      prefix_ = "model.layers." + std::to_string(layer) + ".";
      expect(prefix_ + "input_layernorm.weight", {c_.hidden_size});
      expect(prefix_ + "post_attention_layernorm.weight", {c_.hidden_size});
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
  void expect(const std::string& name, const Shape& shape) const {
    if (!source_.has(name))
      throw Error(ErrorCode::kInvalidInput, source_.path().string(),
                  fmt::format("weight \"{}\" {} is missing", name, shape.str()),
                  "the model's files are incomplete; download them again");
    const Tensor found = source_.tensor(name);
    if (found.shape() != shape)
      throw Error(ErrorCode::kInvalidInput, source_.path().string(),
                  fmt::format("weight \"{}\": expected {}, found {}", name, shape.str(), found.shape().str()),
                  "the weights and the architecture do not belong together");
  }
  // `biased`: whether the architecture gives this layer a bias; unset when only the file knows.
  void linear(const std::string& name, int64_t out, int64_t in, std::optional<bool> biased = false) const {
    expect(prefix_ + name + ".weight", {out, in});
    const std::string bias = prefix_ + name + ".bias";
    if (biased.value_or(source_.has(bias))) return expect(bias, {out});
    if (source_.has(bias))
      throw Error(ErrorCode::kInvalidInput, source_.path().string(),
                  fmt::format("weight \"{}\" has no place in this architecture", bias),
                  "the weights and the architecture do not belong together");
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
    expect(prefix_ + "self_attn.q_norm.weight", {c_.head_dim});
    expect(prefix_ + "self_attn.k_norm.weight", {c_.head_dim});
  }
  void latent_attention() const {
    const MlaConfig& m = *c_.mla;
    const int64_t query = c_.heads * (m.qk_nope_head_dim + m.qk_rope_head_dim);
    if (m.q_lora_rank > 0) {
      linear("self_attn.q_a_proj", m.q_lora_rank, c_.hidden_size, c_.qkv_bias);
      expect(prefix_ + "self_attn.q_a_layernorm.weight", {m.q_lora_rank});
      linear("self_attn.q_b_proj", query, m.q_lora_rank);
    } else {
      linear("self_attn.q_proj", query, c_.hidden_size);
    }
    linear("self_attn.kv_a_proj_with_mqa", m.kv_lora_rank + m.qk_rope_head_dim, c_.hidden_size, c_.qkv_bias);
    expect(prefix_ + "self_attn.kv_a_layernorm.weight", {m.kv_lora_rank});
    linear("self_attn.kv_b_proj", c_.heads * (m.qk_nope_head_dim + m.v_head_dim), m.kv_lora_rank);
    linear("self_attn.o_proj", c_.hidden_size, c_.heads * m.v_head_dim, c_.output_bias);
  }
  void experts() const {
    const MoeConfig& m = *c_.moe;
    expect(prefix_ + "mlp.gate.weight", {m.n_routed_experts, c_.hidden_size});
    const std::string choice_bias = prefix_ + "mlp.gate.e_score_correction_bias";
    if (m.sigmoid || source_.has(choice_bias)) expect(choice_bias, {m.n_routed_experts});
    for (int64_t e = 0; e < m.n_routed_experts; ++e)
      gated("mlp.experts." + std::to_string(e) + ".", m.intermediate_size);
    if (m.n_shared_experts > 0) gated("mlp.shared_experts.", m.n_shared_experts * m.intermediate_size, c_.mlp_bias);
  }

  const ModelSource& source_;
  const ModelConfig& c_;
  std::string prefix_;
};

}  // namespace

void check_weights(const ModelSource& source) { WeightCheck(source).run(); }

std::shared_ptr<const ModelSource> ModelSource::open(const std::filesystem::path& path) {
  std::error_code ignored;
  std::shared_ptr<const ModelSource> source;
  if (std::filesystem::is_directory(path, ignored))
    source = std::make_shared<HuggingFaceSource>(path);
  else
    source = std::make_shared<GgufSource>(path);
  check_weights(*source);
  return source;
}

}  // namespace hone::models
