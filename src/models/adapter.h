// A model's LoRA matrices as the adapter formats keep them, and back.
#pragma once

#include <map>
#include <string>

#include "io/peft.h"
#include "models/causal_lm.h"

namespace hone::models {

/// The adapter of `model`: copies, rows in Hugging Face's order (GGUF files of the llama family hold query and key rows reordered).
/// `options` are those the adapter was made with. Where training began with a part of the weights (PiSSA, OLoRA), what is returned is the
/// difference to the base as it is: pairs of twice the rank. Weights that were trained themselves are in `whole`.
io::LoraAdapter to_adapter(CausalLm& model, const LoraOptions& options, const std::string& base_model);

/// The adapter's whole weights as LoadOptions::replaced wants them; those that equal the base's are left out. Throws Error{kInvalidInput}
/// naming `where` for a weight that the model does not have, or has in another shape.
std::map<std::string, Tensor> replaced_weights(const ModelSource& source, const io::LoraAdapter& adapter, const std::string& where);

/// Throws Error{kInvalidInput} naming `where` unless the pair changes a linear layer's weight of this shape, (N, K).
void check_fit(const std::string& where, const io::LoraPair& pair, const Shape& weight);

/// Attaches the pairs of a saved adapter; `trainable` makes its matrices parameters. Throws Error{kInvalidInput} naming `where` when a
/// module does not exist in this model or has other sizes. Returns how many layers got one.
int64_t attach_adapter(CausalLm& model, const io::LoraAdapter& adapter, const std::string& where, bool trainable);

/// A saved adapter for serving beside others over one model (nn::Pass::row_adapters). Throws Error{kInvalidInput} like attach_adapter,
/// and Error{kUnsupported} when it changes what the rows of several requests share: routed experts, whole weights, the embedding, the head,
/// or the lengths of a weight's rows (DoRA).
nn::AdapterLayers adapter_layers(const CausalLm& model, const io::LoraAdapter& adapter, const std::string& where);

/// Rows of a query or key matrix (heads · D, cols) from Hugging Face's order to GGUF's llama order, or back.
enum class RowOrder { kToGguf, kToHuggingFace };
Tensor reorder_rotary_rows(const Tensor& matrix, int64_t head_dim, RowOrder order);

/// Whether this module's rows are reordered in GGUF files of the family.
bool has_reordered_rows(Family family, std::string_view module);
/// The same for the weights of this model as they were read: only GGUF files make llama's rotary pairs neighbours.
bool holds_reordered_rows(const ModelConfig& config, std::string_view module);

}  // namespace hone::models
