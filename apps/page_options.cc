#include "apps/page_options.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/error.h"

namespace hone::apps {

void add_page_options(CLI::App* verb, serve::PageOptions& page, uint16_t port) {
  page.server.port = port;
  verb->add_option("--host", page.server.host, "address to listen on")->capture_default_str();
  verb->add_option("--port", page.server.port, "0: any free one")->capture_default_str();
  verb->add_option("--api-keys", page.key_file, "file with lines \"infer KEY\": browsers ask for one as the password");
  verb->add_flag("--insecure", page.insecure, "listen on other addresses without keys");
  verb->add_option("--allow-host", page.hosts, "a further name that requests may be addressed to")->allow_extra_args(false);
  verb->add_option("--origin", page.origins, "an origin whose web pages may use the server")->allow_extra_args(false);
  verb->add_option("--tls-cert", page.server.tls_certificate, "certificate chain, PEM");
  verb->add_option("--tls-key", page.server.tls_key, "its key, PEM");
}

void open_page(const serve::PageOptions& page, const std::string& folder, const std::string& what, const std::function<void(serve::http::Router&)>& add_routes) {
  watch_signals();
  if (page.server.tls_certificate.empty() != page.server.tls_key.empty())
    throw Error(ErrorCode::kInvalidInput, "--tls-cert", "a certificate and its key belong together", "give both --tls-cert and --tls-key");
  serve::run_page(page, folder, add_routes, [&](const std::string& address) {
    fmt::print("{} on {}://{} (Ctrl-C ends it; what was decided is kept)\n", what, page.server.tls_certificate.empty() ? "http" : "https", address);
    std::fflush(stdout);
  }, [] { return interrupted(); });
}

}  // namespace hone::apps
