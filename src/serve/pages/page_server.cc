#include "serve/pages/page_server.h"

#include "serve/api/assets.h"
#include "serve/api/errors.h"
#include "serve/api/service.h"

namespace hone::serve {

void run_page(PageOptions options, const std::string& folder, const std::function<void(http::Router&)>& add_routes,
              const std::function<void(const std::string&)>& ready, const std::function<bool()>& stop) {
  const http::Keys keys = options.key_file.empty() ? http::Keys() : http::Keys::from_file(options.key_file);
  const bool loopback = http::listens_on_loopback(options.server.host, keys, options.insecure);
  for (std::string& host : options.hosts)
    for (char& c : host) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  const http::Server::Refusal refusal = [](const http::Request& request, int status, const std::string& message) { return error_response(request, status, message); };
  http::Router router({.loopback = loopback, .keys = !keys.empty(), .hosts = options.hosts, .origins = options.origins}, keys, refusal);
  add_route(router, "GET", "/", http::Role::kInfer, [&](const Exchange& exchange) { exchange->send(asset_response(folder + "/index.html")); });
  add_route(router, "GET", "/web/*", http::Role::kInfer, [](const Exchange& exchange) { exchange->send(asset_response(exchange->request().path.substr(std::string_view("/web/").size()))); });
  add_routes(router);
  options.server.max_body_bytes = size_t{4} << 20;
  http::Server server(options.server, [&](http::Request& request) { return router.admit(request); }, [&](Exchange exchange) { router.dispatch(exchange); }, refusal);
  ready(server.address());
  server.run(stop, [] {});
}

void add_call(http::Router& router, const std::string& path, std::function<Json(const Fields&)> call) {
  add_route(router, "POST", path, http::Role::kInfer, [call = std::move(call)](const Exchange& exchange) {
    const Json body = parse_body(exchange->request().body);
    exchange->send(json_response(call(Fields(body))));
  });
}

std::string person_of(const Fields& fields, const char* field) {
  const std::string name = fields.string(field, 64).value_or("");
  bool plain = !name.empty() && name.front() != ' ' && name.back() != ' ';
  for (const char c : name) plain = plain && static_cast<unsigned char>(c) >= 0x20 && c != 0x7F;
  if (!plain) throw Error(ErrorCode::kInvalidInput, fields.path(field), "expected a name of 1 to 64 bytes", "say who you are");
  return name;
}

}  // namespace hone::serve
