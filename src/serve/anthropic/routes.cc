// /v1/messages and /v1/messages/count_tokens.
#include "serve/anthropic/answer.h"
#include "serve/anthropic/requests.h"
#include "serve/api/errors.h"

namespace hone::serve {
namespace anthropic {
namespace {

void messages(Service& service, const Exchange& exchange) {
  const Json body = parse_body(exchange->request().body);
  const MessagesRequest request = read_request(body);
  anthropic_settings(Json(), Fields(body));  // what is wrong is said before a model is loaded
  auto lease = std::make_shared<ModelPool::Lease>(service.pool.acquire(request.model, std::nullopt));
  const Resident& model = **lease;
  const Settings settings = anthropic_settings(model.entry.parameters, Fields(body));
  const int64_t context = context_of(settings, model.context());
  Prompt prompt = chat_prompt(model, request.conversation, context);
  prompt.split.one_call = !request.calls.parallel;
  infer::Request one;
  one.prompt = std::move(prompt.ids);
  one.options = settings.generate;
  one.options.stop_ids = model.files.stop_ids;
  one.options.max_tokens = room(settings, static_cast<int64_t>(one.prompt.size()), context);
  one.filter = filter_of(settings, request.calls.required    ? call_filter(model, request.conversation.tools, request.calls)
                                   : request.format.is_null() ? nullptr
                                                              : model.json_filter(request.format));
  AnswerShape shape{.id = random_id("msg_"), .model = request.model, .stream = request.stream, .hide_thinking = request.conversation.think == false,
                    .prompt_tokens = static_cast<int64_t>(one.prompt.size()), .stops = {}};
  if (Fields(body).has("stop_sequences")) shape.stops = settings.generate.stop;  // else they are the model's own, which clients do not know
  auto sink = std::make_shared<Sink>(exchange, std::move(shape), model.files.tokenizer);
  cancel_when_gone(exchange, {service.answers.start(std::move(lease), std::move(one), prompt.split, std::move(sink))});
}

void count_tokens(Service& service, const Exchange& exchange) {
  const Json body = parse_body(exchange->request().body);
  const MessagesRequest request = read_request(body);
  const ModelPool::Lease lease = service.pool.acquire(request.model, std::nullopt);
  exchange->send(json_response({{"input_tokens", chat_prompt(*lease, request.conversation, INT64_MAX).ids.size()}}));
}

}  // namespace
}  // namespace anthropic

void add_anthropic_routes(http::Router& router, Service& service) {
  add_route(router, "POST", "/v1/messages", http::Role::kInfer, [&service](const Exchange& exchange) { anthropic::messages(service, exchange); });
  add_route(router, "POST", "/v1/messages/count_tokens", http::Role::kInfer, [&service](const Exchange& exchange) { anthropic::count_tokens(service, exchange); });
}

}  // namespace hone::serve
