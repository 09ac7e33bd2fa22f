// /v1/chat/completions, completions, embeddings, models.
#include <bit>
#include <cstring>

#include <openssl/evp.h>

#include "serve/api/errors.h"
#include "serve/api/request_keys.h"
#include "serve/models/embedding.h"
#include "serve/models/infill.h"
#include "serve/openai/requests.h"
#include "serve/openai/responses.h"

namespace hone::serve {
namespace openai {

namespace {

constexpr size_t kMaxInputs = 2048;

int64_t now() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

struct PreparedPrompt {
  std::vector<int32_t> ids;
  SplitOptions split;
  std::string text;  // for echo
  std::vector<int32_t> stop_ids;
};

std::vector<PreparedPrompt> prompts_of(const Resident& model, const CompletionRequest& request, int64_t context) {
  if (request.chat) {
    Prompt prompt = chat_prompt(model, request.conversation, context);
    prompt.split.one_call = !request.calls.parallel;
    return {{std::move(prompt.ids), prompt.split, "", model.files.stop_ids}};
  }
  std::vector<PreparedPrompt> prompts;
  for (const TextInput& input : request.prompts) {
    PreparedPrompt prompt;
    prompt.stop_ids = model.files.stop_ids;
    if (request.suffix.empty()) {
      prompt.ids = tokens_of(model, input, /*special=*/true, "prompt");
    } else {
      Infill gap = infill(model.files, model.entry.name, input.text, request.suffix, "suffix");
      prompt.ids = std::move(gap.prompt);
      prompt.stop_ids = std::move(gap.stop_ids);
    }
    if (request.echo) prompt.text = input.is_ids ? model.files.tokenizer.decode(prompt.ids) : input.text;
    const auto size = static_cast<int64_t>(prompt.ids.size());
    if (size >= context) throw Error(ErrorCode::kInvalidInput, "prompt", fmt::format("{} tokens leave no room in a context of {}", size, context), "shorten it");
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

void complete(Service& service, const Exchange& exchange, bool chat) {
  const Json body = parse_body(exchange->request().body);
  const CompletionRequest request = read_request(body, chat);
  const auto lease = std::make_shared<ModelPool::Lease>(service.pool.acquire(request.model, request.keep_alive));
  const Resident& model = **lease;
  Settings settings = openai_settings(model.entry.parameters, Fields(body));
  check_bias(model, settings);
  if (!chat && !Fields(body).has("max_tokens")) settings.max_tokens = 16;  // OpenAI's own default
  const int64_t context = context_of(settings, model.context());
  const std::vector<PreparedPrompt> prompts = prompts_of(model, request, context);
  std::vector<int32_t> prediction;
  if (!request.prediction.empty()) prediction = model.files.tokenizer.encode(request.prediction, {.add_special = false});
  if (static_cast<int64_t>(prediction.size()) > context) prediction.resize(static_cast<size_t>(context));
  const auto n = static_cast<size_t>(request.n);
  GroupShape shape{.id = random_id(chat ? "chatcmpl-" : "cmpl-"), .model = request.model, .chat = chat, .stream = request.stream, .include_usage = request.include_usage,
                   .logprobs = request.logprobs, .echo = request.echo, .predicted = !request.prediction.empty(), .hide_thinking = request.conversation.think == false, .created = now(), .echoed = {}};
  if (request.echo)
    for (const PreparedPrompt& prompt : prompts) shape.echoed.insert(shape.echoed.end(), n, prompt.text);
  const auto group = std::make_shared<Group>(exchange, std::move(shape), model.files.tokenizer, prompts.size() * n);
  OpenAnswers open;
  try {
    for (size_t i = 0; i < prompts.size() * n; ++i) {
      infer::Request one;
      one.prompt = prompts[i / n].ids;
      one.prediction = prediction;
      one.options = settings.generate;
      one.options.sampler.seed += i % n;
      one.options.stop_ids = prompts[i / n].stop_ids;
      one.options.max_tokens = room(settings, static_cast<int64_t>(one.prompt.size()), context);
      one.filter = filter_of(settings, request.calls.required    ? call_filter(model, request.conversation.tools, request.calls)
                                       : request.format.is_null() ? nullptr
                                                                  : model.json_filter(request.format));
      if (request.logprobs) one.top_logprobs = request.top_logprobs;
      one.stop_logprob = request.logprobs && !chat;  // as OpenAI's: whoever scores a text counts on one token more than it has
      one.prompt_logprobs = request.logprobs && request.echo;
      open.push_back(service.answers.start(lease, std::move(one), prompts[i / n].split, group->sink(i, i % n == 0)));
    }
  } catch (...) {
    group->fail(current_error());
    return cancel(open);
  }
  cancel_when_gone(exchange, std::move(open));
}

std::string base64_of(const std::vector<float>& vector) {
  static_assert(std::endian::native == std::endian::little);
  std::string text(4 * ((vector.size() * sizeof(float) + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(vector.data()), static_cast<int>(vector.size() * sizeof(float)));
  text.resize(static_cast<size_t>(size));
  return text;
}

void embeddings(Service& service, const Exchange& exchange) {
  const Json body = parse_body(exchange->request().body);
  const Fields fields(body);
  const std::string name = fields.string("model", 512).value_or("");
  check_keys(embedding_keys(), body, "/v1/embeddings");
  const std::vector<TextInput> inputs = read_inputs(fields, "input", kMaxInputs);
  const std::string format = fields.string("encoding_format", 32).value_or("float");
  if (format != "float" && format != "base64") fields.refuse("encoding_format", "float or base64");
  const auto dimensions = fields.integer("dimensions", 1, INT32_MAX);
  const auto lease = std::make_shared<ModelPool::Lease>(service.pool.acquire(name, std::nullopt));
  std::vector<std::vector<int32_t>> ids;
  int64_t tokens = 0;
  for (const TextInput& input : inputs) {
    ids.push_back(tokens_of(**lease, input, /*special=*/false, "input"));
    tokens += static_cast<int64_t>(ids.back().size());
  }
  embed(lease, std::move(ids), [exchange] { return exchange->gone(); }, [=](Vectors vectors, const std::optional<Error>& failure) {
    if (failure) return exchange->send(error_response(exchange->request(), *failure));
    Json data = Json::array();
    for (auto& vector : vectors) {
      if (dimensions && *dimensions < static_cast<int64_t>(vector.size())) shorten(vector, static_cast<size_t>(*dimensions));
      data.push_back({{"object", "embedding"}, {"index", data.size()}, {"embedding", format == "base64" ? Json(base64_of(vector)) : Json(vector)}});
    }
    exchange->send(json_response({{"object", "list"}, {"data", std::move(data)}, {"model", name}, {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}}));
  });
}

Json model_json(const ModelEntry& entry) { return {{"id", entry.name}, {"object", "model"}, {"created", entry.modified}, {"owned_by", "hone"}}; }

void models(Service& service, const Exchange& exchange) {
  Json list = Json::array();
  for (const ModelEntry& entry : service.catalog.list()) list.push_back(model_json(entry));
  exchange->send(json_response({{"object", "list"}, {"data", std::move(list)}}));
}

void model(Service& service, const Exchange& exchange) {
  exchange->send(json_response(model_json(service.catalog.resolve(exchange->request().path.substr(std::strlen("/v1/models/"))))));
}

}  // namespace
}  // namespace openai

void add_openai_routes(http::Router& router, Service& service) {
  const auto add = [&](const char* method, const char* path, void (*route)(Service&, const Exchange&)) {
    add_route(router, method, path, http::Role::kInfer, [&service, route](const Exchange& exchange) { route(service, exchange); });
  };
  add("POST", "/v1/chat/completions", [](Service& s, const Exchange& exchange) { openai::complete(s, exchange, /*chat=*/true); });
  add("POST", "/v1/completions", [](Service& s, const Exchange& exchange) { openai::complete(s, exchange, /*chat=*/false); });
  add("POST", "/v1/responses", openai::respond);
  add("POST", "/v1/embeddings", openai::embeddings);
  add("GET", "/v1/models", openai::models);
  add("GET", "/v1/models/*", openai::model);
}

}  // namespace hone::serve
