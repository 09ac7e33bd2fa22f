// The options of verbs that open a page for people.
#pragma once

#include "apps/verb.h"
#include "serve/pages/page_server.h"

namespace hone::apps {

/// --host, --port, --api-keys, --insecure, --allow-host, --origin.
void add_page_options(CLI::App* verb, serve::PageOptions& page, uint16_t port);
/// Serves the page until Ctrl-C or SIGTERM, and says where it is.
void open_page(const serve::PageOptions& page, const std::string& folder, const std::string& what, const std::function<void(serve::http::Router&)>& add_routes);

}  // namespace hone::apps
