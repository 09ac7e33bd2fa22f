// LoRA adapters as Hugging Face PEFT keeps them: adapter_config.json and adapter_model.safetensors.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace hone::io {

/// The adapter of one layer, with s = alpha / R or alpha / √R. Of a linear layer: y += s · x·Aᵀ·Bᵀ, or with a magnitude m (DoRA, Liu
/// et al. 2024) y = m / ‖W + s·B·A‖ (row by row) · x·(W + s·B·A)ᵀ + bias. Of the embedding: x += s · A[:, id]·Bᵀ.
struct LoraPair {
  std::string module;  // as in the checkpoint, without ".weight": "model.layers.0.self_attn.q_proj"
  Tensor a;            // (R, K) F32; of the embedding (R, V)
  Tensor b;            // (N, R) F32, rows in the order of Hugging Face's weights; of the embedding (C, R)
  double alpha = 0;
  Tensor magnitude = {};  // (N) F32, rows as b's; undefined: a plain adapter
};

/// The base that the pairs are added to.
enum class AdapterStart {
  kBase,   // the base as it is
  kPissa,  // the base without what PiSSA takes for A and B at the start
  kOlora,  // the same with OLoRA
};

struct LoraAdapter {
  std::string base_model;  // where the base model was read from
  int64_t rank = 0;        // of most pairs, and alpha: single ones may have others
  double alpha = 0;
  double dropout = 0;
  bool rank_stabilized = false;
  AdapterStart start = AdapterStart::kBase;  // others: models::read_adapter
  std::vector<std::string> target_modules;  // suffixes or full names that match exactly the modules of `pairs`, but for
  std::vector<std::string> target_parameters = {};  // those named by their weights: "model.layers.0.mlp.up_proj.weight"
  std::vector<LoraPair> pairs;              // sorted by module
  std::vector<std::pair<std::string, Tensor>> whole = {};  // weights that stand in place of the base's, F32, by their full name
  std::vector<std::string> notes;           // what the user should know about the files

  double scale(const LoraPair& pair) const;
  bool has_dora() const;
};

/// Writes both files into an existing folder, the weights first.
void write_peft(const std::filesystem::path& folder, const LoraAdapter& adapter);
/// Reads a folder that PEFT or hone wrote. Throws Error naming the file and the key or tensor: kInvalidInput for what does not fit
/// together, kUnsupported for what would change the adapter's arithmetic and is not computed (docs/peft.md). Every tensor of the file is
/// in the result.
LoraAdapter read_peft(const std::filesystem::path& folder);

}  // namespace hone::io
