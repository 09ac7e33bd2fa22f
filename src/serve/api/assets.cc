#include "serve/api/assets.h"

#include "base/error.h"
#include "serve/api/service.h"

namespace hone::serve {

constexpr const char* kPagePolicy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

http::Response asset_response(std::string_view name) {
  const Asset* asset = find_asset(name);
  if (!asset) throw Error(ErrorCode::kNotFound, std::string(name), "there is no such file");
  return {200, std::string(asset->type), std::string(asset->content), {{"Content-Security-Policy", kPagePolicy}, {"Referrer-Policy", "no-referrer"}, {"Cache-Control", "no-cache"}}};
}

void add_asset_routes(http::Router& router, const std::string& page) {
  static constexpr std::string_view kBelow = "/web/";
  add_route(router, "GET", "/web/*", http::Role::kInfer, [](const Exchange& exchange) { exchange->send(asset_response(exchange->request().path.substr(kBelow.size()))); });
  if (!page.empty()) add_route(router, "GET", "/", http::Role::kInfer, [index = page + "/index.html"](const Exchange& exchange) { exchange->send(asset_response(index)); });
}

}  // namespace hone::serve
