// Everything that one model's files give: weights, tokenizer, chat template, and where answers end.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/causal_lm.h"
#include "store/library.h"
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
  std::optional<store::StoredModel> stored = {};  // when the model was named: its adapter, system message, parameters
  std::vector<std::string> notes = {};            // what the user should know: the name that was meant, what was passed over

  /// What templates see besides the messages.
  text::RenderOptions render_options() const;
  /// A prompt as the model expects it: through the chat template when there is one, else begin token and text.
  std::vector<int32_t> encode_prompt(const text::Json& messages) const;
  /// The same through the chat template, which must be there, with these options. The text of special tokens inside messages
  /// and tools stays plain text.
  std::vector<int32_t> encode_prompt(const text::Json& messages, const text::RenderOptions& options) const;
};

/// Where a model lies: a file or folder, or what a name in the store stands for.
struct FoundModel {
  std::filesystem::path path;
  std::optional<store::StoredModel> stored;
  std::vector<std::string> notes;
};

/// Finds a model: a path that exists, else a file of this name under $HONE_MODELS (default ~/.hone/models), else a name in the
/// stores. Throws Error{kNotFound} saying where it looked and how to pull it.
FoundModel find_model(const std::string& name);

/// Opens a model that find_model finds. `chat_template`: a file, a known name, or empty for the model's own.
ModelFiles open_model(const std::string& base, const std::string& chat_template);

}  // namespace hone::recipes
