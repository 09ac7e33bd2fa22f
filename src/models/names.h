// Names of weights: canonical (Hugging Face's, used everywhere in hone) and GGUF's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.h"

namespace hone::models {

/// "model.layers.3.self_attn.q_proj.weight" → "blk.3.attn_q.weight"; nullopt when GGUF has no such tensor of its own
/// (a single expert, whose tensor is stacked: see gguf_expert_stack).
std::optional<std::string> gguf_name(std::string_view canonical);

/// The stacked tensor that holds a routed expert's weight, and the expert's index.
struct ExpertSlice {
  std::string tensor;  // "blk.3.ffn_gate_exps.weight"
  int64_t expert;
};
std::optional<ExpertSlice> gguf_expert_stack(std::string_view canonical);

/// Canonical names of every weight and bias that a model of this architecture may have, embedding first, head last. Which of the
/// optional ones exist, its files say.
std::vector<std::string> weight_names(const ModelConfig& config);

/// Module names (sorted, without ".weight") that an adapter may be attached to. `targets` holds groups — "all-linear",
/// "attention", "mlp", "routed_experts", "shared_experts", "mla" —, module suffixes such as "q_proj" or "layers.3.mlp.down_proj",
/// or regular expressions of whole names (with one of \*()[]|^$+?{} in them); empty means all-linear. "embed_tokens" and "lm_head" are
/// in no group. Throws Error{kInvalidInput} for a target that matches nothing.
std::vector<std::string> lora_targets(const ModelConfig& config, const std::vector<std::string>& targets);

}  // namespace hone::models
