#include "apps/server_client.h"

#include <cstdlib>

#include "apps/verb.h"
#include "base/error.h"
#include "store/http_client.h"

namespace hone::apps {
namespace {

// What a refusal says, in any dialect.
std::string message_of(const store::HttpResponse& response) {
  const auto json = nlohmann::ordered_json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("error")) {
    const auto& error = json["error"];
    if (error.is_string()) return error.get<std::string>();
    if (error.is_object() && error.contains("message") && error["message"].is_string()) return error["message"].get<std::string>();
  }
  return store::describe(response);
}

ErrorCode code_of(int status) {
  switch (status) {
    case 400: return ErrorCode::kInvalidInput;
    case 404: return ErrorCode::kNotFound;
    case 503: return ErrorCode::kBusy;
    default: return ErrorCode::kIo;
  }
}

}  // namespace

nlohmann::ordered_json ServerClient::ask(const std::string& method, const std::string& path, const nlohmann::ordered_json& body) const {
  const std::string server = address_.url(), text = body.is_null() ? "" : body.dump();
  store::HttpRequest request{.method = method, .url = server + path, .headers = {{"Content-Type", "application/json"}}, .body = text};
  if (const char* key = std::getenv("HONE_API_KEY"); key && *key) request.authorization = std::string("Bearer ") + key;
  store::HttpClient client({.insecure = true, .proxies = false, .interrupted = interrupted});
  store::HttpResponse response;
  try {
    response = client.send(request);
  } catch (const store::TransientError& error) {
    throw Error(ErrorCode::kIo, server, fmt::format("no server answers there ({})", error.message()), "start one with hone serve, or set HONE_HOST to where it listens");
  }
  if (response.status == 401 || response.status == 403) throw Error(ErrorCode::kIo, server, message_of(response), "set HONE_API_KEY to a key of this server");
  if (response.status >= 300) throw Error(code_of(response.status), server, message_of(response));
  auto json = nlohmann::ordered_json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw Error(ErrorCode::kIo, server, "what answers there is no hone server", "set HONE_HOST to where one listens");
  return json;
}

std::string with_tag(const std::string& name) {
  const size_t slash = name.rfind('/');
  return name.find(':', slash == std::string::npos ? 0 : slash) == std::string::npos ? name + ":latest" : name;
}

}  // namespace hone::apps
