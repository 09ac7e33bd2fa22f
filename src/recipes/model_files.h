// Everything that one model's files give: weights, tokenizer, chat template, and where answers end.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/causal_lm.h"
#include "store/library.h"
#include "text/answer_splitter.h"
#include "text/chat_turns.h"
#include "text/tokenizer.h"

namespace hone::recipes {

/// How many of the answers that were learned carry reasoning (<think> … </think>).
enum class Reasoning { kUnknown, kNone, kSome, kAll };

/// What training taught about how to ask (recipes/run_chat.h).
struct RunChat {
  Reasoning reasoning = Reasoning::kUnknown;
  std::optional<std::string> chat_template = {};  // Jinja
};

struct ModelFiles {
  std::shared_ptr<const models::ModelSource> source;
  text::Tokenizer tokenizer;
  std::optional<text::ChatTemplate> chat;
  std::string bos_token, eos_token;  // as text; empty when the model has none
  std::vector<int32_t> stop_ids;     // tokens that end an answer
  int32_t end_of_turn = -1;          // the one the chat template puts after an answer; −1: none
  std::optional<store::StoredModel> stored = {};  // when the model was named: its adapter, system message, parameters
  std::vector<std::string> notes = {};            // what the user should know: the name that was meant, what was passed over
  text::ReasoningForm reasoning = {};             // of the chat template
  bool thinks = false;                            // answers may hold <think> … </think>
  std::string lead = {};                          // white space that the template writes between its generation prompt and an answer
  std::optional<bool> think = {};                 // reasoning wanted where nobody says; nothing: as the template does
  RunChat taught = {};                            // which `think` follows from
  bool template_given = false;                    // `chat` is what the user asked for, not the model's own

  /// Finds out what follows from the chat template: where answers end, how it treats reasoning.
  void study_template();
  /// Adds a note when `chat` writes marks (<|…|>) that the tokenizer has no tokens for.
  void note_missing_marks();
  /// Whether the chat template shows tools to the model.
  bool shows_tools() const { return chat && chat->source().find("tools") != std::string::npos; }
  /// Defaults of requests, by the names of Modelfile parameters: what the model's files say of generation, and over it the
  /// parameters of the Modelfile, as far as they are sensible. Adds to `told` which are not, and why.
  nlohmann::ordered_json parameters(std::vector<std::string>& told) const;
  /// What templates see besides the messages.
  text::RenderOptions render_options() const;
  /// The prompt that opens the assistant's turn after `messages`: through the chat template where there is one, else begin token and the
  /// messages' text. The text of special tokens inside messages and tools stays plain text. `wanted`: reasoning; nothing: as `think` says.
  struct TurnPrompt {
    std::vector<int32_t> ids;
    bool inside = false;  // the answer begins inside <think>
  };
  TurnPrompt turn_prompt(const text::Json& messages, const text::RenderOptions& options, std::optional<bool> wanted) const;
  TurnPrompt turn_prompt(const text::Json& messages) const { return turn_prompt(messages, render_options(), std::nullopt); }
  /// The tokens of `piece`, whose special tokens are such, but for those in its byte ranges `plain`; cut where `cuts` say.
  std::vector<int32_t> encode_pieces(std::string_view piece, const std::vector<std::pair<size_t, size_t>>& plain, const std::vector<size_t>& cuts) const;
  /// A raw prompt: special tokens in it are such, and where the tokenizer asks for a begin token there is one, not two.
  std::vector<int32_t> encode_text(std::string_view text) const;
  /// How an answer is taken apart that follows such a prompt.
  text::SplitOptions split_options(bool inside, bool tools = false) const { return {.thinking = thinks || inside, .inside = inside, .tools = tools, .lead = inside ? "" : lead}; }
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

/// Which chat template counts for a named model that has both its own and a TEMPLATE in Ollama's language.
enum class TemplateChoice { kOwn, kStored };

/// Opens a model that find_model finds. `chat_template`: a file, a known name, or empty: then `choice` decides between the
/// model's own, which training wants (it marks where answers end), and the TEMPLATE of its Modelfile. Where there is but one of
/// them, it is taken; a TEMPLATE that hone cannot translate is passed over with a note.
ModelFiles open_model(const std::string& base, const std::string& chat_template, TemplateChoice choice = TemplateChoice::kOwn);

}  // namespace hone::recipes
