// Requests of /v1/messages, from JSON to what the engine takes.
#pragma once

#include "serve/api/settings.h"
#include "serve/models/call_form.h"
#include "serve/models/prompt.h"

namespace hone::serve::anthropic {

struct MessagesRequest {
  std::string model;
  ChatRequest conversation;  // think: on where "thinking" is enabled, else off
  ToolChoice calls;
  Json format;  // null, or a schema
  bool stream = false;
};

/// Blocks become the messages that chat templates read: tool_use an assistant's call, tool_result a message of the tool, thinking an
/// assistant's reasoning. Throws Error{kInvalidInput} naming the field, Error{kUnsupported} for images and documents.
MessagesRequest read_request(const Json& body);

}  // namespace hone::serve::anthropic
