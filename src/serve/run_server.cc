#include "serve/run_server.h"

#include "serve/api/service.h"
#include "serve/ollama/store_routes.h"

namespace hone::serve {

void run_server(const Catalog& catalog, const RunOptions& options, const std::function<void(const std::string&)>& ready, const std::function<bool()>& stop) {
  http::Router router = make_router(options.server.host, options.access);
  ModelPool pool(catalog, options.pool);
  Answers answers;
  Service service{catalog, pool, answers, options.version, {}, options.max_blob_bytes};
  add_ollama_routes(router, service);
  ollama::StoreWork store_work;
  ollama::add_store_routes(router, service, store_work);
  add_openai_routes(router, service);
  add_anthropic_routes(router, service);
  add_plain_routes(router, service);
  http::Server server = make_server(options.server, router);
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
