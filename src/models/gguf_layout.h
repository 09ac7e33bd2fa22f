// How a model's weights lie in a GGUF file: names, stacked experts, split latent attention, reordered rotary rows.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/gguf_writer.h"
#include "models/source.h"

namespace hone::models {

/// One tensor of a GGUF file and the canonical weights it is made of.
struct GgufTensor {
  enum class Kind {
    kWhole,        // the weight itself
    kRotaryRows,   // llama's query and key rows (or biases), rotary pairs made neighbours
    kExpertStack,  // (E, N, K): one part per routed expert
    kKeyHalf,      // attn_k_b (H, latent, nope) out of kv_b_proj, transposed per head
    kValueHalf,    // attn_v_b (H, value, latent) out of kv_b_proj
  };
  std::string name;
  Shape shape;                     // outermost first
  Kind kind = Kind::kWhole;
  std::vector<std::string> parts;  // canonical names
};

/// The tensors of a file with this source's weights. `split_latent`: kv_b_proj as its two halves, as files are written today.
std::vector<GgufTensor> gguf_layout(const ModelSource& source, bool split_latent);

/// A tensor's values in pieces that follow each other along its outermost axis. `weight` gives a canonical weight (F32) in
/// Hugging Face's row order.
void gguf_values(const GgufTensor& tensor, const ModelConfig& config, const std::function<Tensor(const std::string&)>& weight,
                 const std::function<void(const Tensor&)>& piece);

/// The half of kv_b_proj (H · (nope + value), latent) that attn_k_b or attn_v_b holds.
Tensor latent_half(const Tensor& kv_b, const ModelConfig& config, GgufTensor::Kind kind);

/// Why llama.cpp would not load a file of this model, abort, or pass over a part of it: what its graph of the architecture has no
/// place for, although GGUF can hold it and hone reads it back. Empty: nothing stands in the way.
std::vector<std::string> llama_cpp_obstacles(const ModelSource& source);
/// What llama.cpp computes otherwise, although it reads the file.
std::vector<std::string> llama_cpp_notes(const ModelConfig& config);

/// general.architecture and everything under "<architecture>." that describes the model. Throws Error{kUnsupported} for rope
/// settings that GGUF cannot express.
io::GgufMetadata gguf_architecture(const ModelConfig& config, const std::string& where);

}  // namespace hone::models
