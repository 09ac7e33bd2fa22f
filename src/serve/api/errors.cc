#include "serve/api/errors.h"

#include <filesystem>
#include <new>

namespace hone::serve {
namespace {

bool below(const http::Request& request, std::string_view path) {
  return request.path == path || (request.path.starts_with(path) && request.path[path.size()] == '/');
}

enum class Dialect { kOllama, kOpenAi, kAnthropic };
Dialect dialect_of(const http::Request& request) {
  return below(request, "/v1/messages") ? Dialect::kAnthropic : below(request, "/v1") ? Dialect::kOpenAi : Dialect::kOllama;
}

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

Error current_error() {
  constexpr const char* kBug = "this is a bug in hone; please report it";
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return {ErrorCode::kOutOfMemory, "memory", "the system refused an allocation", "try again later, or with less at a time"};
  } catch (const std::filesystem::filesystem_error& error) {
    return {ErrorCode::kIo, error.path1().filename().string(), error.code().message(), "see that the file is there and may be used"};
  } catch (const std::exception& error) {
    return {ErrorCode::kInternal, "server", error.what(), kBug};
  } catch (...) {
    return {ErrorCode::kInternal, "server", "it failed without saying why", kBug};
  }
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

Json anthropic_error(int status, const std::string& message) {
  const char* type = "invalid_request_error";
  if (status == 401) type = "authentication_error";
  else if (status == 403) type = "permission_error";
  else if (status == 404) type = "not_found_error";
  else if (status == 413) type = "request_too_large";
  else if (status == 503) type = "overloaded_error";
  else if (status >= 500) type = "api_error";
  return {{"type", "error"}, {"error", {{"type", type}, {"message", message}}}};
}

Json anthropic_error(const Error& error) { return anthropic_error(status_of(error.code()), in_words(error)); }

http::Response json_response(const Json& json, int status) {
  http::Response response;
  response.status = status;
  response.body = dump(json);
  return response;
}

http::Response error_response(const http::Request& request, const Error& error) {
  const Dialect dialect = dialect_of(request);
  http::Response response = json_response(dialect == Dialect::kAnthropic ? anthropic_error(error) : dialect == Dialect::kOpenAi ? openai_error(error) : ollama_error(in_words(error)),
                                          status_of(error.code()));
  add_retry(response);
  return response;
}

http::Response error_response(const http::Request& request, int status, const std::string& message) {
  const std::string code = status == 401 ? "invalid_api_key" : "";
  const Dialect dialect = dialect_of(request);
  http::Response response = json_response(
      dialect == Dialect::kAnthropic ? anthropic_error(status, message) : dialect == Dialect::kOpenAi ? openai_error(status, message, "", code) : ollama_error(message), status);
  add_retry(response);
  return response;
}

}  // namespace hone::serve
