#include "serve/run_server.h"

#include "serve/api/errors.h"
#include "serve/api/service.h"
#include "serve/ollama/store_routes.h"

namespace hone::serve {

void run_server(const Catalog& catalog, RunOptions options, const std::function<void(const std::string&)>& ready, const std::function<bool()>& stop) {
  const http::Keys keys = options.key_file.empty() ? http::Keys() : http::Keys::from_file(options.key_file);
  const bool loopback = http::listens_on_loopback(options.server.host, keys, options.insecure);
  for (std::string& host : options.hosts)
    for (char& c : host) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  ModelPool pool(catalog, options.pool);
  Answers answers;
  Service service{catalog, pool, answers, options.version, {}, options.max_blob_bytes};
  const http::Server::Refusal refusal = [](const http::Request& request, int status, const std::string& message) { return error_response(request, status, message); };
  http::Router router({.loopback = loopback, .keys = !keys.empty(), .hosts = options.hosts, .origins = options.origins}, keys, refusal);
  add_ollama_routes(router, service);
  ollama::StoreWork store_work;
  ollama::add_store_routes(router, service, store_work);
  add_openai_routes(router, service);
  add_anthropic_routes(router, service);
  add_plain_routes(router, service);
  http::Server server(options.server, [&](http::Request& request) { return router.admit(request); }, [&](Exchange exchange) { router.dispatch(exchange); }, refusal);
  service.server_metrics = [&] { return server.metrics(); };
  ready(server.address());
  server.run(stop, [&] {
    answers.cancel_all();
    store_work.stop();
  });
  // Answers hold exchanges, and those the server's connections: all must be gone before it is.
  answers.cancel_all();
  store_work.finish();
  pool.close();
}

}  // namespace hone::serve
