// What a model's files say about its architecture, in one form for every family.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf.h"

namespace hone::models {

enum class Family { kLlama, kQwen2, kQwen3, kDeepseek2 };

/// "llama", "qwen2", "qwen3", "deepseek2"
std::string_view name(Family family);

enum class RopeScaling { kNone, kLinear, kLlama3, kYarn };

/// Rotary positions and how they stretch beyond the length the model was pre-trained on.
struct RopeConfig {
  double theta = 10000;
  int64_t dim = 0;           // rotated elements per head
  bool interleaved = false;  // pairs (2i, 2i+1); otherwise (i, i + dim/2)
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1;
  double original_max_positions = 0;           // llama3, yarn
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;        // yarn
  double mscale = 0, mscale_all_dim = 0;       // yarn, as DeepSeek uses it; 0: not given
  std::optional<double> attention_factor;      // of the rotated queries and keys; unset: the scaling's own
  std::vector<float> freq_divisors;            // GGUF's per-frequency factors (dim / 2); empty: none
};

/// Multi-head latent attention (deepseek2).
struct MlaConfig {
  int64_t q_lora_rank = 0;  // 0: queries have no latent
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
  float norm_eps = 1e-6f;   // of the latents' norms: fixed by the architecture, whatever rms_norm_eps says
};

/// Mixture of experts (deepseek2).
struct MoeConfig {
  int64_t n_routed_experts = 0, n_shared_experts = 0, top_k = 1, intermediate_size = 0;
  int64_t first_dense_layers = 0;  // layers before it have a dense feed-forward
  bool sigmoid = false;            // scores by sigmoid, otherwise softmax
  int64_t n_group = 1, topk_group = 1;
  bool group_by_top2 = false;      // noaux_tc ranks groups by their two best scores
  bool norm_topk_prob = false;
  double routed_scaling_factor = 1;
};

struct ModelConfig {
  Family family = Family::kLlama;
  int64_t hidden_size = 0;        // C
  int64_t layers = 0;
  int64_t heads = 0, kv_heads = 0;  // H, G
  int64_t head_dim = 0;           // D
  int64_t intermediate_size = 0;  // F, of dense layers
  int64_t vocab_size = 0;         // V
  int64_t max_positions = 0;
  float rms_eps = 1e-6f;
  bool tied_head = false;
  bool qk_norm = false;
  std::optional<bool> qkv_bias, output_bias, mlp_bias;  // whether those layers have one; unset: the file's tensors tell
  RopeConfig rope;
  std::optional<MlaConfig> mla;
  std::optional<MoeConfig> moe;
  int64_t bos_id = -1;
  std::vector<int64_t> eos_ids;

  bool is_moe_layer(int64_t layer) const { return moe && layer >= moe->first_dense_layers; }
};

/// From a Hugging Face config.json. `where` names the file in errors. Every number is range-checked; what hone cannot compute
/// (sliding windows, other activations, unknown families) is Error{kUnsupported}.
ModelConfig config_from_json(const nlohmann::json& json, const std::string& where);

/// From GGUF metadata, and from tensors where the format keeps facts there.
ModelConfig config_from_gguf(const io::Gguf& gguf);

/// Throws Error{kInvalidInput} naming `where` unless the numbers fit each other: heads share keys evenly, rotated sizes are
/// even, experts form whole groups that can supply top_k. Both readers above call it.
void check_config(const ModelConfig& config, const std::string& where);

/// What the rotated queries and keys are multiplied by: attention_factor, else 1, but for yarn its temperature.
double rotation_factor(const RopeConfig& rope);

/// Softmax scale of attention scores: 1/√(query size), times DeepSeek's yarn correction.
float attention_scale(const ModelConfig& config);

}  // namespace hone::models
