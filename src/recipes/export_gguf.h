// Trained results as GGUF: an adapter beside the base, or one merged model.
#pragma once

#include <filesystem>
#include <string>

#include "io/peft.h"
#include "models/causal_lm.h"

namespace hone::recipes {

/// A LoRA adapter that llama.cpp's --lora applies: general.type "adapter", adapter.lora.alpha, and "<weight>.lora_a" (R, K),
/// "<weight>.lora_b" (N, R) in F32; experts' adapters are stacked (E, …). Throws Error{kUnsupported} for a kv_b_proj adapter:
/// llama.cpp multiplies by its split halves directly.
void write_gguf_lora(const std::filesystem::path& file, const io::LoraAdapter& adapter, const models::ModelConfig& config);

/// The source's GGUF with every trained change added, weights in `type`: f16, bf16, q8_0, q4_0, q4_k_m or q6_k. Matrices whose
/// rows do not fit the blocks of a K type fall back to q5_0 (for Q4_K) or q8_0 (for Q6_K). Norms, biases and routers are F32.
void write_merged_gguf(const std::filesystem::path& file, const models::ModelSource& source, models::CausalLm& model, const std::string& type);

}  // namespace hone::recipes
