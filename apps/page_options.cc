#include "apps/page_options.h"

#include <fmt/format.h>

#include <cstdio>

namespace hone::apps {

void add_access_options(CLI::App* verb, serve::http::ServerOptions& server, serve::Access& access) {
  verb->add_option("--api-keys", access.key_file, "file with lines \"infer KEY\" and \"admin KEY\", one of which is asked of everybody; browsers ask for it as the password");
  verb->add_flag("--insecure", access.insecure, "listen on other addresses than this machine's without keys");
  verb->add_option("--allow-host", access.hosts, "a further name that requests may be addressed to")->allow_extra_args(false);
  verb->add_option("--origin", access.origins, "an origin whose web pages may use the server; * stands for anything: https://*.example.org")->allow_extra_args(false);
  verb->add_option("--tls-cert", server.tls_certificate, "certificate chain, PEM");
  verb->add_option("--tls-key", server.tls_key, "its key, PEM");
}

void add_page_options(CLI::App* verb, serve::PageOptions& page, uint16_t port) {
  page.server.port = port;
  verb->add_option("--host", page.server.host, "address to listen on")->capture_default_str();
  verb->add_option("--port", page.server.port, "0: any free one")->capture_default_str();
  add_access_options(verb, page.server, page.access);
}

void open_page(const serve::PageOptions& page, const std::string& folder, const std::string& what, const std::function<void(serve::http::Router&)>& add_routes) {
  watch_signals();
  serve::run_page(page, folder, add_routes, [&](const std::string& address) {
    fmt::print("{} on {}://{} (Ctrl-C ends it; what was decided is kept)\n", what, page.server.tls_certificate.empty() ? "http" : "https", address);
    std::fflush(stdout);
  }, [] { return interrupted(); });
}

}  // namespace hone::apps
