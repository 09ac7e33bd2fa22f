// /, /web/*, /health, /metrics, /tokenize, /detokenize.
#include <set>

#include "serve/api/assets.h"
#include "serve/api/errors.h"
#include "serve/api/service.h"
#include "serve/models/prompt.h"

namespace hone::serve {
namespace {

// A page for browsers, a word for programs.
void root(Service&, const Exchange& exchange) {
  if (exchange->request().header("accept").find("text/html") != std::string_view::npos) return exchange->send(asset_response("chat/index.html"));
  exchange->send({200, "text/plain; charset=utf-8", "hone is running", {}});
}

void health(Service& service, const Exchange& exchange) { exchange->send(json_response({{"status", "ok"}, {"version", service.version}})); }

void metrics(Service& service, const Exchange& exchange) {
  std::string text;
  const auto metric = [&](const char* name, const char* type, const char* help, auto value) {
    text += fmt::format("# HELP hone_{0} {1}\n# TYPE hone_{0} {2}\nhone_{0} {3}\n", name, help, type, value);
  };
  const infer::EngineMetrics sum = service.pool.metrics();
  const auto loaded = service.pool.loaded();
  size_t bytes = 0;
  std::set<std::string> bases;
  for (const auto& one : loaded) bytes += one.adapter_bytes + (bases.insert(one.weights).second ? one.bytes : 0);
  const http::ServerMetrics server = service.server_metrics();
  metric("requests_waiting", "gauge", "Answers that wait for their turn.", sum.waiting);
  metric("requests_running", "gauge", "Answers that are being computed.", sum.running);
  metric("requests_finished_total", "counter", "Answers that ended, for whatever reason.", sum.finished);
  metric("requests_refused_total", "counter", "Answers that found the queue full.", sum.refused);
  metric("requests_cancelled_total", "counter", "Answers whose clients left.", sum.cancelled);
  metric("requests_failed_total", "counter", "Answers that ended with an error.", sum.failed);
  metric("prompt_tokens_total", "counter", "Tokens of prompts.", sum.prompt_tokens);
  metric("prompt_tokens_reused_total", "counter", "Tokens of prompts that an earlier request had computed.", sum.reused_tokens);
  metric("answer_tokens_total", "counter", "Tokens of answers.", sum.answer_tokens);
  metric("answer_tokens_guessed_total", "counter", "Tokens of answers that were guessed from earlier text.", sum.guessed_tokens);
  metric("answer_tokens_guessed_right_total", "counter", "Guessed tokens that the model chose, too.", sum.taken_tokens);
  metric("engine_steps_total", "counter", "Passes through a model.", sum.steps);
  metric("engine_rows_total", "counter", "Tokens that passed through a model.", sum.batch_rows);
  metric("engine_busy_seconds_total", "counter", "Time spent computing.", sum.busy_seconds);
  metric("models_loaded", "gauge", "Models in memory, adapters included.", loaded.size());
  metric("bases_loaded", "gauge", "Weights in memory that these models stand on.", bases.size());
  metric("models_bytes", "gauge", "Bytes of the weights of the models in memory.", bytes);
  metric("model_loads_total", "counter", "Models that were loaded.", service.pool.loads());
  metric("http_connections", "gauge", "Open connections.", server.connections);
  metric("http_connections_total", "counter", "Connections that were accepted.", server.accepted);
  metric("http_connections_refused_total", "counter", "Connections beyond the limit.", server.refused);
  metric("http_requests_total", "counter", "Requests that were received whole.", server.requests);
  metric("http_slow_clients_total", "counter", "Clients that read too slowly and were cut off.", server.too_slow);
  exchange->send({200, "text/plain; version=0.0.4; charset=utf-8", std::move(text), {}});
}

// {"model", "content" or "text"} → {"tokens": […]}
void tokenize(Service& service, const Exchange& exchange) {
  const Json body = parse_body(exchange->request().body);
  const Fields fields(body);
  const auto content = fields.string("content"), text = fields.string("text");
  if (!content && !text) throw Error(ErrorCode::kInvalidInput, "content", "expected a text");
  const ModelPool::Lease lease = service.pool.acquire(fields.string("model", 512).value_or(""), std::nullopt);
  const auto ids = lease->files.tokenizer.encode(content ? *content : *text, {.add_special = fields.boolean("add_special").value_or(false),
                                                                              .parse_special = fields.boolean("parse_special").value_or(true)});
  exchange->send(json_response({{"tokens", ids}}));
}

// {"model", "tokens"} → {"content"}
void detokenize(Service& service, const Exchange& exchange) {
  const Json body = parse_body(exchange->request().body);
  const Fields fields(body);
  const Json* tokens = fields.find("tokens");
  if (!tokens) throw Error(ErrorCode::kInvalidInput, "tokens", "expected a list of token ids");
  const std::vector<int32_t> ids = token_ids(fields, "tokens", *tokens);
  const ModelPool::Lease lease = service.pool.acquire(fields.string("model", 512).value_or(""), std::nullopt);
  check_ids(*lease, ids, "tokens");
  exchange->send(json_response({{"content", lease->files.tokenizer.decode(ids)}}));
}

}  // namespace

void add_plain_routes(http::Router& router, Service& service) {
  const auto add = [&](const char* method, const char* path, http::Role role, void (*route)(Service&, const Exchange&)) {
    add_route(router, method, path, role, [&service, route](const Exchange& exchange) { route(service, exchange); });
  };
  add("GET", "/", http::Role::kInfer, root);
  add_asset_routes(router);
  add("GET", "/health", http::Role::kNone, health);
  add("GET", "/metrics", http::Role::kInfer, metrics);
  add("POST", "/tokenize", http::Role::kInfer, tokenize);
  add("POST", "/detokenize", http::Role::kInfer, detokenize);
}

}  // namespace hone::serve
