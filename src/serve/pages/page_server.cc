#include "serve/pages/page_server.h"

#include "serve/api/assets.h"
#include "serve/api/errors.h"
#include "serve/api/service.h"

namespace hone::serve {

void run_page(PageOptions options, const std::string& folder, const std::function<void(http::Router&)>& add_routes,
              const std::function<void(const std::string&)>& ready, const std::function<bool()>& stop) {
  http::Router router = make_router(options.server.host, options.access);
  add_asset_routes(router, folder);
  add_routes(router);
  options.server.max_body_bytes = size_t{4} << 20;
  http::Server server = make_server(options.server, router);
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
