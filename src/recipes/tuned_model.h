// A model in memory as a configuration wants it, with fresh or saved trained weights.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/adapter.h"
#include "optim/adamw.h"
#include "recipes/config.h"
#include "recipes/model_files.h"
#include "train/checkpoint.h"

namespace hone::recipes {

models::LoadOptions load_options(const Config& config);
models::LoraOptions lora_options(const Config& config);

/// The base model with fresh trainable weights: LoRA matrices, or every weight.
models::CausalLm load_trainable(const Config& config, const models::ModelSource& source);
/// The same; Error{kUnsupported} for a named model that has an adapter already.
models::CausalLm load_trainable(const Config& config, const ModelFiles& files);
/// AdamW over `parameters` with the configuration's decay (on matrices) and LoRA+ ratio.
optim::AdamW optimizer_of(const Config& config, const train::Parameters& parameters);

/// The base model for inference, with the result of a run: a PEFT folder or the weights of a full fine-tuning. `tuned` empty:
/// the base alone. max_positions 0: the model's own context.
models::CausalLm load_tuned(const models::ModelSource& source, models::LoadOptions options, const std::filesystem::path& tuned);

/// The same for a model that was opened by name: its own adapter is attached where `tuned` is empty; both is Error{kUnsupported}.
models::CausalLm load_tuned(const ModelFiles& files, const models::LoadOptions& options, const std::filesystem::path& tuned);

/// Writes what was trained into an existing folder: a PEFT adapter, or weights.safetensors after full fine-tuning.
void save_tuned(const std::filesystem::path& folder, models::CausalLm& model, const Config& config, const std::string& base);

/// What the user should know about the files of `tuned`: keys of its adapter_config.json that are passed over. Empty for anything else.
std::vector<std::string> tuned_notes(const std::filesystem::path& tuned);

/// RUN/best when `path` is a run's folder, else `path`.
std::filesystem::path tuned_folder(const std::filesystem::path& path);

}  // namespace hone::recipes
