// The whole server: catalog, models in memory, routes, transport.
#pragma once

#include <functional>
#include <string>

#include "serve/api/access.h"
#include "serve/models/catalog.h"
#include "serve/models/pool.h"

namespace hone::serve {

struct RunOptions {
  http::ServerOptions server;
  PoolOptions pool;
  Access access;
  uint64_t max_blob_bytes = uint64_t{64} << 30;  // of a file that a client sends into the store
  std::string version;
};

/// Serves `catalog` until `stop` returns true. `ready` is called once with the address. Throws Error{kInvalidInput} for an address
/// that others can reach without keys, and what binding and reading keys and certificates throws.
void run_server(const Catalog& catalog, const RunOptions& options, const std::function<void(const std::string& address)>& ready, const std::function<bool()>& stop);

}  // namespace hone::serve
