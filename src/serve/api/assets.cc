#include "serve/api/assets.h"

#include "base/error.h"

namespace hone::serve {

constexpr const char* kPagePolicy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

http::Response asset_response(std::string_view name) {
  const Asset* asset = find_asset(name);
  if (!asset) throw Error(ErrorCode::kNotFound, std::string(name), "there is no such file");
  return {200, std::string(asset->type), std::string(asset->content), {{"Content-Security-Policy", kPagePolicy}, {"Referrer-Policy", "no-referrer"}, {"Cache-Control", "no-cache"}}};
}

}  // namespace hone::serve
