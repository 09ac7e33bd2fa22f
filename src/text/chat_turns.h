// An assistant's turn as inference sees it: the prompt that opens it, and what is to be learned after that very prompt.
// docs/chat-templates.md tells how reasoning is treated.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat_template.h"

namespace hone::text {

/// How a template treats reasoning (<think> … </think>); found by rendering one question.
struct ReasoningForm {
  bool known = false;    // the template writes, opens or removes <think>
  bool opens = false;    // by default its generation prompt ends inside <think>
  bool closed = false;   // by default its generation prompt says that there is no reasoning (it ends with </think>)
  std::string variable;  // the template's own switch, enable_thinking or thinking; empty: it has none
};

ReasoningForm reasoning_form(const ChatTemplate& chat, const RenderOptions& options);

/// ChatTemplate::render_prompt of messages as requests and rows give them, in the form that the template takes: a call without words has null for its
/// content where the template writes calls (some write none beside a text, be it empty), and arguments are JSON text where it refuses objects (DeepSeek's).
RenderedPrompt render_conversation(const ChatTemplate& chat, const Json& messages, const RenderOptions& options);

/// What a model goes on from.
struct TurnPrompt {
  std::string text;
  std::vector<std::pair<size_t, size_t>> words;  // as in RenderedPrompt: special tokens in them are plain text
  std::vector<RenderedPrompt::Piece> pieces;
  std::vector<size_t> cuts;                      // byte offsets where the tokenizer begins anew: what stands behind was learned as an answer's beginning
  bool inside = false;                           // <think> is open: reasoning comes first
};

/// The generation prompt after `messages`. `think`: reasoning wanted (true), not wanted (false), or as the template does by default.
/// Not wanted: the template's own form, else the closed empty block behind an opened <think>. Throws what rendering throws.
TurnPrompt turn_prompt(const ChatTemplate& chat, const ReasoningForm& form, const Json& messages, RenderOptions options, std::optional<bool> think);

/// One turn to learn: text[0, begin) is turn_prompt(messages before it).text, text[begin, end of text) is what the model should write.
struct LearnedTurn {
  size_t message = 0;     // which of the conversation's messages
  bool reasoned = false;  // with reasoning
  std::string text;
  std::vector<std::pair<size_t, size_t>> words;  // of the prompt
  std::vector<RenderedPrompt::Piece> pieces;     // of the prompt
  size_t begin = 0;
  std::vector<size_t> cuts;  // ascending, from begin on: where the tokenizer begins anew
};

/// The last message of `messages`, which is an assistant's, as a turn to learn; nothing where a template that marks what is learned
/// ({% generation %}) does not mark it, or where it says nothing. Reasoning (reasoning_content) stands where inference expects it, also where the
/// template would leave it out. options.add_generation_prompt and continue_final must be off. Throws Error{kInvalidInput} naming the template when the
/// turn cannot be found in the rendered text.
std::optional<LearnedTurn> learned_turn(const ChatTemplate& chat, const ReasoningForm& form, const Json& messages, const RenderOptions& options);

/// Every assistant's message as a turn to learn, in order; those whose "weight" is 0 are left out.
std::vector<LearnedTurn> learned_turns(const ChatTemplate& chat, const ReasoningForm& form, const Json& messages, const RenderOptions& options);

/// A conversation of which everything is learned, the template's own words and other people's, too.
struct LearnedConversation {
  /// An assistant's words with their end of turn; "weight" of that message.
  struct Answer {
    size_t begin, end;
    double weight;
    bool reasoned;  // with reasoning
  };
  std::string text;
  std::vector<std::pair<size_t, size_t>> words;  // as in RenderedPrompt, but for those of the last answer
  std::vector<Answer> answers;                   // ascending, disjoint
  std::vector<size_t> cuts;                      // ascending: where the tokenizer begins anew
};

/// The last answer stands behind the prompt that inference would render for it, as learned_turn has it; what follows it in `messages`
/// follows it here. Throws what learned_turn throws.
LearnedConversation learned_conversation(const ChatTemplate& chat, const ReasoningForm& form, const Json& messages, const RenderOptions& options);

}  // namespace hone::text
