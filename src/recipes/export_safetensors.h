// Trained results as a Hugging Face model folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/causal_lm.h"
#include "recipes/model_files.h"

namespace hone::recipes {

/// The model with every trained change added, as a folder that transformers loads; returns the files written. A Hugging Face
/// base gives its own files; for a GGUF base config.json, generation_config.json, tokenizer.json, tokenizer_config.json and the
/// chat template are made from its metadata. `type`: bf16, f16 or f32; empty: as the folder stores each weight, f16 for GGUF.
std::vector<std::filesystem::path> write_merged_safetensors(const std::filesystem::path& folder, const ModelFiles& files, models::CausalLm& model,
                                                            const std::string& type);

}  // namespace hone::recipes
