// Who may ask a server, and the server that asks them.
#pragma once

#include <string>
#include <vector>

#include "serve/http/router.h"

namespace hone::serve {

struct Access {
  std::string key_file;                       // empty: no keys
  bool insecure = false;                      // other addresses than this machine's without keys
  std::vector<std::string> hosts, origins;    // further ones that requests may name; in any case of letters
  std::string remedy = "give --api-keys FILE, or --insecure if everybody there may use this machine";
};

/// A router without routes for a server that listens on `host`. Throws Error{kInvalidInput} with `remedy` for an address that other
/// machines can reach when no key is asked of them, and what reading keys throws.
http::Router make_router(const std::string& host, const Access& access);

/// A server that listens, and answers with the routes of `router`, which must outlive it. Throws what http::Server throws, and
/// Error{kInvalidInput} for a certificate without its key.
http::Server make_server(const http::ServerOptions& options, const http::Router& router);

}  // namespace hone::serve
