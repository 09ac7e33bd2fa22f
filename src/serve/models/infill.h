// Filling a gap: text before it, text behind it, and the tokens that some models have for that.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "recipes/model_files.h"

namespace hone::serve {

struct Infill {
  std::vector<int32_t> prompt;
  std::vector<int32_t> stop_ids;  // tokens that end what stands in the gap
};

/// The prompt whose answer goes between `prefix` and `suffix`: with the tokens that a GGUF file names for it
/// (tokenizer.ggml.fim_*), else with those of DeepSeek-Coder and DeepSeek-V3, Qwen-Coder and CodeGemma, StarCoder and
/// Granite, Code Llama, known by their names in the vocabulary. The text of special tokens stays text. Throws
/// Error{kUnsupported} naming `where` when the model `name` has none.
Infill infill(const recipes::ModelFiles& files, const std::string& name, std::string_view prefix,
              std::string_view suffix, const std::string& where);

}  // namespace hone::serve
