// Requests of /api/generate and /api/chat, from JSON to what the engine takes.
#pragma once

#include "serve/api/settings.h"
#include "serve/models/call_form.h"
#include "serve/models/prompt.h"
#include "serve/ollama/answer.h"

namespace hone::serve::ollama {

struct AnswerRequest {
  bool chat = false, stream = true, raw = false, empty = false;  // empty: no prompt, or no messages
  std::string model, prompt, suffix, turn_template;
  std::optional<std::string> system;
  std::vector<int32_t> context;           // of /api/generate: the tokens of the conversation so far
  ChatRequest conversation;               // of /api/chat
  ToolChoice calls;                       // the same
  std::optional<bool> think;
  std::optional<double> keep_alive;
  Json options = Json::object(), format;
  bool logprobs = false, truncate = true;  // truncate: the oldest turns of what is too long are left out
  int32_t top_logprobs = 0;
};

/// Throws Error{kInvalidInput} naming the field, Error{kUnsupported} for images.
AnswerRequest read_request(const Json& body, bool chat);

struct PreparedAnswer {
  infer::Request request;
  SplitOptions split;
  AnswerShape shape;
};
PreparedAnswer prepare(const Resident& model, const AnswerRequest& request);

/// The model a request names: "model", or "name" in older clients.
std::string model_name(const Fields& fields);
std::optional<double> keep_alive_of(const Fields& fields);

/// What /api/show says of a model; `verbose`: with the lists that GGUF files hold. Opens its files; throws what that throws.
Json described(const ModelEntry& entry, bool verbose);

void add_answer_routes(http::Router& router, Service& service);
void add_model_routes(http::Router& router, Service& service);

}  // namespace hone::serve::ollama
