#include "serve/api/errors.h"

namespace hone::serve {
namespace {

bool is_openai(const http::Request& request) { return request.path == "/v1" || request.path.starts_with("/v1/"); }

void add_retry(http::Response& response) {
  if (response.status == 503) response.headers.emplace_back("Retry-After", "1");
}

}  // namespace

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidInput:
    case ErrorCode::kUnsupported: return 400;
    case ErrorCode::kNotFound: return 404;
    case ErrorCode::kBusy:
    case ErrorCode::kInterrupted: return 503;
    case ErrorCode::kIo:
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kInternal: return 500;
  }
  return 500;
}

std::string in_words(const Error& error) {
  const bool named = error.where().empty() || (error.code() == ErrorCode::kNotFound && error.where() == "model");
  std::string text = named ? error.message() : error.where() + ": " + error.message();
  if (!error.hint().empty()) text += " (" + error.hint() + ")";
  return text;
}

Json ollama_error(const std::string& message) { return {{"error", message}}; }

Json openai_error(int status, const std::string& message, const std::string& param, const std::string& code) {
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  return {{"error", {{"message", message}, {"type", status < 500 ? "invalid_request_error" : status == 503 ? "overloaded_error" : "server_error"},
                     {"param", or_null(param)}, {"code", or_null(code)}}}};
}

Json openai_error(const Error& error) {
  const int status = status_of(error.code());
  const bool model = error.code() == ErrorCode::kNotFound && error.where() == "model";
  return openai_error(status, in_words(error), status == 400 || model ? error.where() : "", model ? "model_not_found" : "");
}

http::Response json_response(const Json& json, int status) {
  http::Response response;
  response.status = status;
  response.body = dump(json);
  return response;
}

http::Response error_response(const http::Request& request, const Error& error) {
  http::Response response = json_response(is_openai(request) ? openai_error(error) : ollama_error(in_words(error)), status_of(error.code()));
  add_retry(response);
  return response;
}

http::Response error_response(const http::Request& request, int status, const std::string& message) {
  const std::string code = status == 401 ? "invalid_api_key" : "";
  http::Response response = json_response(is_openai(request) ? openai_error(status, message, "", code) : ollama_error(message), status);
  add_retry(response);
  return response;
}

}  // namespace hone::serve
