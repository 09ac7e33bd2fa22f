// The files of web/*/, built into the program.
#pragma once

#include <string_view>

#include "serve/http/router.h"

namespace hone::serve {

struct Asset {
  std::string_view name, type, content;
};

/// "chat/index.html"; null for names that are not there.
const Asset* find_asset(std::string_view name);
/// The file as an answer that forbids everything from outside. Throws Error{kNotFound}.
http::Response asset_response(std::string_view name);

/// GET /web/*: the pages' files. `page`: the folder whose index.html stands at /; empty: / is somebody else's.
void add_asset_routes(http::Router& router, const std::string& page = {});

}  // namespace hone::serve
