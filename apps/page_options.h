// The options of verbs that listen: who may ask them, and pages for people.
#pragma once

#include "apps/verb.h"
#include "serve/pages/page_server.h"

namespace hone::apps {

/// --api-keys, --insecure, --allow-host, --origin, --tls-cert, --tls-key.
void add_access_options(CLI::App* verb, serve::http::ServerOptions& server, serve::Access& access);
/// --host, --port, and those of add_access_options.
void add_page_options(CLI::App* verb, serve::PageOptions& page, uint16_t port);
/// Serves the page until Ctrl-C or SIGTERM, and says where it is.
void open_page(const serve::PageOptions& page, const std::string& folder, const std::string& what, const std::function<void(serve::http::Router&)>& add_routes);

}  // namespace hone::apps
