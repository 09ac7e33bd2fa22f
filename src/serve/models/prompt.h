// Conversations of a request to a prompt's tokens.
#pragma once

#include <optional>
#include <vector>

#include "data/chat_message.h"
#include "serve/models/pool.h"
#include "serve/models/splitter.h"

namespace hone::serve {

inline constexpr size_t kMaxMessages = 4096, kMaxTools = 128;  // of one request

struct ChatRequest {
  Json messages = Json::array();  // {"role", "content", …} as chat templates read them
  Json tools;                     // null, or a list of {"type": "function", "function": {…}}
  Json extra = Json::object();    // further variables of the template
  std::optional<bool> think;      // reasoning on or off, where the model knows it
  bool think_if_taught = false;   // on does not count for a model that was taught to answer without
  bool continue_final = true;     // a last message of the assistant is gone on with
};

struct Prompt {
  std::vector<int32_t> ids;
  SplitOptions split;  // how what follows it is taken apart
};

/// Renders through the model's template, a system message of the model's own in front where the request has none. When the prompt
/// does not fit into `context` tokens, the oldest messages after the system's are left out, but never the last one. Throws
/// Error{kInvalidInput} for a prompt that cannot be made to fit, Error{kUnsupported} for tools that the template does not show.
Prompt chat_prompt(const Resident& model, const ChatRequest& request, int64_t context);

/// The tools of a request, or null.
Json tools_of(const Fields& fields);

/// Text as it is; `special`: the text of special tokens becomes these tokens.
std::vector<int32_t> raw_prompt(const Resident& model, std::string_view text, bool special);

/// Throws Error{kInvalidInput} naming `where` when the model does not have one of these tokens.
void check_ids(const Resident& model, const std::vector<int32_t>& ids, const std::string& where);

}  // namespace hone::serve
