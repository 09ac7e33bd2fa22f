// Errors in the shape each API gives them.
#pragma once

#include "base/error.h"
#include "serve/api/fields.h"
#include "serve/http/message.h"

namespace hone::serve {

/// 400 for bad input, 404, 503 for busy, 500 for the rest.
int status_of(ErrorCode code);
/// "where: message (hint)" on one line.
std::string in_words(const Error& error);

/// The exception that is being handled, whatever its type, as an Error. For catch blocks only.
Error current_error();

/// {"error": "…"}, as Ollama writes it.
Json ollama_error(const std::string& message);
/// {"error": {"message", "type", "param", "code"}}, as OpenAI writes it. `param` and `code` empty: null.
Json openai_error(int status, const std::string& message, const std::string& param = {}, const std::string& code = {});
Json openai_error(const Error& error);

/// {"type": "error", "error": {"type", "message"}}, as Anthropic writes it.
Json anthropic_error(int status, const std::string& message);
Json anthropic_error(const Error& error);

/// The answer to a request that failed, in the shape of the API that its path belongs to (/v1/messages: Anthropic's; /v1: OpenAI's).
http::Response error_response(const http::Request& request, const Error& error);
http::Response error_response(const http::Request& request, int status, const std::string& message);

http::Response json_response(const Json& json, int status = 200);

}  // namespace hone::serve
