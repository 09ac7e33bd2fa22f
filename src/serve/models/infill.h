// Filling a gap: text before it, text behind it, and the tokens that some models have for that.
#pragma once

#include <string>
#include <vector>

#include "serve/models/pool.h"

namespace hone::serve {

struct Infill {
  std::vector<int32_t> prompt;
  std::vector<int32_t> stop_ids;  // tokens that end what stands in the gap
};

/// The prompt whose answer goes between `prefix` and `suffix`, in the order in which the model's tokens for it want them: those of
/// DeepSeek-Coder and DeepSeek-V3, Qwen-Coder and CodeGemma, StarCoder and Granite, Code Llama, known by their names in the vocabulary. The text of special tokens stays text.
/// Throws Error{kUnsupported} naming `where` when the model has none.
Infill infill(const Resident& model, std::string_view prefix, std::string_view suffix, const std::string& where);

}  // namespace hone::serve
