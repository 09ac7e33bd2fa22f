// Everything that one model's files give: weights, tokenizer, chat template, and where answers end.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/causal_lm.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace hone::recipes {

struct ModelFiles {
  std::shared_ptr<const models::ModelSource> source;
  text::Tokenizer tokenizer;
  std::optional<text::ChatTemplate> chat;
  std::string bos_token, eos_token;  // as text; empty when the model has none
  std::vector<int32_t> stop_ids;     // tokens that end an answer
  int32_t end_of_turn = -1;          // the one the chat template puts after an answer; −1: none

  /// What templates see besides the messages.
  text::RenderOptions render_options() const;
  /// A prompt as the model expects it: through the chat template when there is one, else begin token and text.
  std::vector<int32_t> encode_prompt(const text::Json& messages) const;
  /// The same through the chat template, which must be there, with these options. The text of special tokens inside messages
  /// and tools stays plain text.
  std::vector<int32_t> encode_prompt(const text::Json& messages, const text::RenderOptions& options) const;
};

/// Finds a model: a path, or a name under $HONE_MODELS (default ~/.hone/models). Throws Error{kNotFound} saying where it looked.
std::filesystem::path find_model(const std::string& name);

/// Opens a model. `chat_template`: a file, a known name, or empty for the model's own.
ModelFiles open_model(const std::string& base, const std::string& chat_template);

}  // namespace hone::recipes
