// The body of a request, read as each dialect reads it: fields, sampling settings, conversation, and the prompt made of it.
#include "fuzz/target.h"
#include "serve/anthropic/requests.h"
#include "serve/ollama/requests.h"
#include "serve/openai/requests.h"
#include "text/ollama_template.h"

namespace hone::fuzz {
namespace {

using serve::Json;

void render(const serve::ChatRequest& conversation) {
  static const text::ChatTemplate chat = text::ChatTemplate::parse(golden("templates/templates/thinking.jinja"), "template");
  if (conversation.messages.empty()) return;
  text::RenderOptions options;
  options.add_generation_prompt = true;
  options.tools = conversation.tools;
  options.extra = conversation.extra;
  const text::RenderedPrompt prompt = chat.render_prompt(conversation.messages, options);
  for (const auto& [begin, end] : prompt.words) hold(begin <= end && end <= prompt.text.size(), "the words of a prompt lie within it");
}

void run_requests(const uint8_t* data, size_t size) {
  const Json body = serve::parse_body(text_of(data, size));
  serve::dump(body);
  const Json defaults = Json::object();
  for (const bool chat : {true, false}) {
    part([&] {
      const auto request = serve::ollama::read_request(body, chat);
      serve::ollama_settings(request.options, Json::object());
      const serve::Settings settings = serve::ollama_settings(defaults, request.options);
      hold(serve::context_of(settings, 4096) <= 4096, "a context is no longer than the model's");
      serve::filter_of(settings, nullptr);
      render(request.conversation);
      if (!request.turn_template.empty()) text::ChatTemplate::parse(text::jinja_of_ollama(request.turn_template, "template"), "template");
    });
    part([&] {
      const auto request = serve::openai::read_request(body, chat);
      serve::openai_settings(defaults, serve::Fields(body));
      render(request.conversation);
    });
  }
  part([&] {
    const auto request = serve::anthropic::read_request(body);
    serve::anthropic_settings(defaults, serve::Fields(body));
    render(request.conversation);
  });
}

const Registered registered_requests({"requests", run_requests, 3000,
                             {"\"model\"", "\"messages\"", "\"role\"", "\"user\"", "\"assistant\"", "\"system\"", "\"tool\"", "\"content\"", "\"tools\"", "\"tool_calls\"", "\"function\"", "\"arguments\"", "\"name\"", "\"parameters\"",
                              "\"options\"", "\"temperature\"", "\"top_k\"", "\"stop\"", "\"seed\"", "\"num_ctx\"", "\"num_predict\"", "\"keep_alive\"", "\"5m\"", "\"1h30m\"", "\"format\"", "\"json\"", "\"think\"", "\"context\"", "\"prompt\"",
                              "\"template\"", "\"raw\"", "\"images\"", "\"suffix\"", "\"n\"", "\"logprobs\"", "\"top_logprobs\"", "\"logit_bias\"", "\"response_format\"", "\"json_schema\"", "\"schema\"", "\"stream_options\"", "\"max_tokens\"",
                              "\"tool_choice\"", "\"thinking\"", "\"tool_use\"", "\"tool_result\"", "\"tool_use_id\"", "\"input\"", "\"input_schema\"", "\"type\"", "\"text\"", "\"chat_template_kwargs\"", "\"prefix\"", "{}", "[]", "null", "true", "-1", "1e9"},
                             {}});

}  // namespace
}  // namespace hone::fuzz
