// LoRA adapters as Hugging Face PEFT keeps them: adapter_config.json and adapter_model.safetensors.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace hone::io {

/// The adapter of one linear layer: y += scale · x·Aᵀ·Bᵀ.
struct LoraPair {
  std::string module;  // as in the checkpoint, without ".weight": "model.layers.0.self_attn.q_proj"
  Tensor a;            // (R, K) F32
  Tensor b;            // (N, R) F32, rows in the order of Hugging Face's weights
};

struct LoraAdapter {
  std::string base_model;  // where the base model was read from
  int64_t rank = 0;
  double alpha = 0;
  double dropout = 0;
  bool rank_stabilized = false;
  std::vector<std::string> target_modules;  // suffixes or full names that match exactly the modules of `pairs`
  std::vector<LoraPair> pairs;              // sorted by module

  /// alpha / R, or alpha / √R.
  double scale() const;
};

/// Writes both files into an existing folder, the weights first.
void write_peft(const std::filesystem::path& folder, const LoraAdapter& adapter);
/// Reads a folder that PEFT or hone wrote. Throws Error naming the file and key for anything that is not a plain LoRA adapter
/// (DoRA, trained biases, per-module ranks that do not fit their tensors).
LoraAdapter read_peft(const std::filesystem::path& folder);

}  // namespace hone::io
