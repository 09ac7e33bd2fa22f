// A page for people on this machine (or, with keys, on others): its files, its routes, and nothing else.
#pragma once

#include <functional>
#include <string>

#include "serve/api/access.h"
#include "serve/api/fields.h"
#include "serve/http/router.h"

namespace hone::serve {

struct PageOptions {
  http::ServerOptions server;
  Access access;
};

/// Serves web/<folder>/index.html at /, the pages' files below /web/, and what `add_routes` adds, until `stop` returns true. `ready` is
/// called once with the address. Throws Error{kInvalidInput} for an address that others can reach without keys, Error{kIo} for binding.
void run_page(PageOptions options, const std::string& folder, const std::function<void(http::Router&)>& add_routes,
              const std::function<void(const std::string& address)>& ready, const std::function<bool()>& stop);

/// POST `path`: a JSON object in, one out. Errors are answered as {"error": "…"}.
void add_call(http::Router& router, const std::string& path, std::function<Json(const Fields&)> call);

/// The name somebody gave: 1 to 64 bytes without control characters or white space at its ends. Throws Error{kInvalidInput}.
std::string person_of(const Fields& fields, const char* field);

}  // namespace hone::serve
