#include "serve/http/router.h"

#include <algorithm>

#include "base/error.h"

namespace hone::serve::http {

bool Router::Entry::takes(std::string_view wanted) const {
  if (!path.ends_with("/*")) return path == wanted;
  const std::string_view prefix = std::string_view(path).substr(0, path.size() - 1);
  return wanted.size() > prefix.size() && wanted.starts_with(prefix);
}

void Router::add(std::string method, std::string path, Role role, Route route, BodyOpener open_body) {
  entries_.push_back({std::move(method), std::move(path), role, std::move(route), std::move(open_body)});
}

const Router::Entry* Router::find(const Request& request) const {
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  for (const Entry& entry : entries_)
    if (entry.method == method && entry.takes(request.path)) return &entry;
  return nullptr;
}

Response Router::allow_cross_origin(const Request& request) const {
  Response response;
  response.status = 204;
  const std::string_view wanted = request.header("access-control-request-headers");
  response.headers = {{"Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE, OPTIONS"},
                      {"Access-Control-Allow-Headers", wanted.empty() ? "Authorization, Content-Type" : std::string(wanted)},
                      {"Access-Control-Max-Age", "600"}};
  return response;
}

std::optional<Response> Router::admit(Request& request) const {
  if (const std::string wrong = wrong_host(request, guard_); !wrong.empty()) return refusal_(request, 421, wrong);
  if (request.count("origin") > 0) {
    if (!origin_allowed(request, guard_)) return refusal_(request, 403, "pages of this origin may not use the server (start it with --origin to allow them)");
    request.answer_headers = {{"Access-Control-Allow-Origin", std::string(request.header("origin"))}, {"Vary", "Origin"}};
  }
  if (request.method == "OPTIONS") return allow_cross_origin(request);
  const Entry* entry = find(request);
  const Role needed = entry ? entry->role : Role::kInfer;
  if (keys_.empty()) {
    request.role = Role::kAdmin;
  } else if (needed != Role::kNone) {
    const auto key = key_of(request);
    request.role = key ? keys_.role_of(*key) : Role::kNone;
    if (request.role == Role::kNone) {
      Response refused = refusal_(request, 401, key ? "this API key is not known" : "an API key is needed: Authorization: Bearer KEY");
      refused.headers.emplace_back("WWW-Authenticate", request.header("accept").find("text/html") != std::string_view::npos ? "Basic realm=\"hone\"" : "Bearer");
      return refused;
    }
    if (request.role < needed) return refusal_(request, 403, "this API key may not do that");
  }
  if (!entry) {
    std::string methods;
    for (const Entry& other : entries_)
      if (other.takes(request.path)) methods += (methods.empty() ? "" : ", ") + other.method;
    if (methods.empty()) return refusal_(request, 404, fmt::format("{} {} is not known here", request.method, request.path));
    Response refused = refusal_(request, 405, fmt::format("{} takes {}", request.path, methods));
    refused.headers.emplace_back("Allow", methods);
    return refused;
  }
  if (entry->open_body) request.sink = entry->open_body(request);
  return std::nullopt;
}

void Router::dispatch(const std::shared_ptr<Exchange>& exchange) const {
  if (const Entry* entry = find(exchange->request())) entry->route(exchange);
}

}  // namespace hone::serve::http
