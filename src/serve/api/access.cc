#include "serve/api/access.h"

#include "base/error.h"
#include "serve/api/errors.h"

namespace hone::serve {
namespace {

http::Response refusal(const http::Request& request, int status, const std::string& message) { return error_response(request, status, message); }

}  // namespace

http::Router make_router(const std::string& host, const Access& access) {
  http::Keys keys = access.key_file.empty() ? http::Keys() : http::Keys::from_file(access.key_file);
  http::GuardOptions guard{.loopback = http::is_loopback(host), .keys = !keys.empty(), .hosts = access.hosts, .origins = access.origins};
  if (!guard.loopback && !guard.keys && !access.insecure)
    throw Error(ErrorCode::kInvalidInput, host, "this address can be reached from other machines, and no API key is asked of them", access.remedy);
  for (std::string& name : guard.hosts)
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return {std::move(guard), std::move(keys), refusal};
}

http::Server make_server(const http::ServerOptions& options, const http::Router& router) {
  if (options.tls_certificate.empty() != options.tls_key.empty())
    throw Error(ErrorCode::kInvalidInput, "TLS", "a certificate and its key belong together", "give both --tls-cert and --tls-key");
  return http::Server(options, [&router](http::Request& request) { return router.admit(request); }, [&router](const std::shared_ptr<http::Exchange>& exchange) { router.dispatch(exchange); }, refusal);
}

}  // namespace hone::serve
