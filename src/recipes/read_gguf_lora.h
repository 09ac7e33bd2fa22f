// GGUF LoRA adapters (llama.cpp's --lora, Ollama's ADAPTER) as hone holds adapters.
#pragma once

#include <filesystem>

#include "io/peft.h"
#include "models/source.h"

namespace hone::recipes {

/// The inverse of write_gguf_lora: rows in Hugging Face's order, stacks taken apart, the halves of kv_b_proj put together. Throws
/// Error{kInvalidInput} naming the file when it is no adapter or does not fit `source`, Error{kUnsupported} for tensors that
/// hone has no layer for.
io::LoraAdapter read_gguf_lora(const std::filesystem::path& file, const models::ModelSource& source);

}  // namespace hone::recipes
