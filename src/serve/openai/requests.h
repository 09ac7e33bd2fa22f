// Requests of OpenAI's completion routes, from JSON to what the engine takes.
#pragma once

#include "serve/api/settings.h"
#include "serve/models/call_form.h"
#include "serve/models/prompt.h"
#include "serve/openai/group.h"

namespace hone::serve::openai {

/// Text or tokens, as "prompt" and "input" take them.
struct TextInput {
  std::string text;
  std::vector<int32_t> ids;
  bool is_ids = false;
};

struct CompletionRequest {
  bool chat = true;
  std::string model;
  ChatRequest conversation;          // of chat
  std::vector<TextInput> prompts;    // of completions
  std::string suffix;                // the same: what stands behind the answer
  int64_t n = 1;
  bool stream = false, include_usage = false, echo = false, logprobs = false;
  int32_t top_logprobs = 0;
  std::optional<double> keep_alive;
  std::string prediction;            // of chat: what the answer may turn out to be
  Json format;                       // null, "json", or a JSON schema
  ToolChoice calls;                  // of chat
};

/// Throws Error{kInvalidInput} naming the field, Error{kUnsupported} for what hone does not do.
CompletionRequest read_request(const Json& body, bool chat);

/// A string, a list of strings, a list of token ids, or a list of such lists; at most `max` of them.
std::vector<TextInput> read_inputs(const Fields& fields, const char* name, size_t max);
/// Whether an effort (none … max) asks for reasoning; nothing where the field is absent. Throws Error{kInvalidInput} for other words.
std::optional<bool> effort_of(const Fields& fields, const char* name);

/// Throws Error{kInvalidInput} for a logit_bias of tokens that the model does not have.
void check_bias(const Resident& model, const Settings& settings);

/// Its tokens. Throws Error{kInvalidInput} for ids that the model does not have.
std::vector<int32_t> tokens_of(const Resident& model, const TextInput& input, bool special, const char* name);

}  // namespace hone::serve::openai
