// /api/generate and /api/chat; the routes about models are in model_routes.cc.
#include "serve/ollama/requests.h"
#include "serve/api/errors.h"
#include "serve/ollama/answer.h"

namespace hone::serve {
namespace ollama {

namespace {

// A request without words: the model is loaded, or given up when it is not to be kept.
void load_only(Service& service, const Exchange& exchange, const AnswerRequest& request) {
  AnswerShape shape{.model = request.model, .chat = request.chat, .prompt = {}, .started = Clock::now()};
  const bool unload = request.keep_alive && *request.keep_alive == 0;
  if (unload) service.pool.unload(request.model);
  else service.pool.acquire(request.model, request.keep_alive);
  Json json = frame(shape, /*done=*/true);
  json["done_reason"] = unload ? "unload" : "load";
  exchange->send(json_response(json));
}

void answer(Service& service, const Exchange& exchange, bool chat) {
  const auto started = Clock::now();
  const Json body = parse_body(exchange->request().body);
  const AnswerRequest request = read_request(body, chat);
  if (request.empty) return load_only(service, exchange, request);
  auto lease = std::make_shared<ModelPool::Lease>(service.pool.acquire(request.model, request.keep_alive));
  PreparedAnswer prepared = prepare(**lease, request);
  prepared.shape.started = started;
  prepared.shape.load_seconds = lease->load_seconds();
  auto sink = std::make_shared<Sink>(exchange, std::move(prepared.shape), (*lease)->files.tokenizer);
  const auto open = service.answers.start(std::move(lease), std::move(prepared.request), prepared.split, std::move(sink));
  exchange->when_gone([weak = std::weak_ptr(open)] {
    if (const auto gone = weak.lock()) gone->cancel();
  });
}

}  // namespace

void add_answer_routes(http::Router& router, Service& service) {
  for (const bool chat : {false, true})
    add_route(router, "POST", chat ? "/api/chat" : "/api/generate", http::Role::kInfer, [&service, chat](const Exchange& exchange) { answer(service, exchange, chat); });
}

}  // namespace ollama

void add_ollama_routes(http::Router& router, Service& service) {
  ollama::add_answer_routes(router, service);
  ollama::add_model_routes(router, service);
}

}  // namespace hone::serve
