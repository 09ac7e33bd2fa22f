// Trained results as GGUF: an adapter beside the base, or one merged model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/peft.h"
#include "models/causal_lm.h"
#include "recipes/model_files.h"

namespace hone::recipes {

/// A LoRA adapter that llama.cpp's --lora applies: general.type "adapter", adapter.lora.alpha, and "<weight>.lora_a" (R, K),
/// "<weight>.lora_b" (N, R) in F32. Experts' adapters are stacked (E, …), zeros for experts without one; kv_b_proj's is split
/// like the weight unless the base is a GGUF file that holds it whole. `taught` goes along. Returns what the user
/// should know.
std::vector<std::string> write_gguf_lora(const std::filesystem::path& file, const io::LoraAdapter& adapter,
                                         const models::ModelSource& source, const RunChat& taught = {});

/// Who is to read a file: what llama.cpp would not load, or compute otherwise, is refused for it and told of for hone.
enum class GgufReader { kLlamaCpp, kHone };

/// Throws Error{kInvalidInput} naming `where` for a word that is no type of write_merged_gguf().
void check_gguf_type(const std::string& type, const std::string& where);

/// The model with every trained change added, weights in `type`: f32, f16, bf16, q8_0, q4_0, q4_k_m or q6_k. Matrices whose rows
/// do not fit the blocks of a K type fall back to q5_0 (for Q4_K) or q8_0 (for Q6_K). Norms, biases and routers are F32. A GGUF
/// base gives its own metadata; for a Hugging Face folder it is made from config.json, generation_config.json, the tokenizer and the
/// chat template. Returns what the user should know.
std::vector<std::string> write_merged_gguf(const std::filesystem::path& file, const ModelFiles& files, models::CausalLm& model, const std::string& type,
                                           GgufReader reader = GgufReader::kLlamaCpp);

}  // namespace hone::recipes
