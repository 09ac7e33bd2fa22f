#include "serve/ollama/requests.h"

#include "base/error.h"
#include "serve/api/request_keys.h"
#include "serve/models/infill.h"
#include "text/ollama_template.h"

namespace hone::serve::ollama {
namespace {

// One turn by the request's own template.
text::RenderedPrompt turn_of(const AnswerRequest& request, const std::string& system) {
  const auto chat = text::ChatTemplate::parse(text::jinja_of_ollama(request.turn_template, "template"), "template");
  Json messages = Json::array();
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", request.prompt}});
  text::RenderOptions options;
  options.add_generation_prompt = true;
  return chat.render_prompt(messages, options);
}

}  // namespace

std::string model_name(const Fields& fields) {
  for (const char* key : {"model", "name"})
    if (const auto name = fields.string(key, 512); name && !name->empty()) return *name;
  throw Error(ErrorCode::kInvalidInput, "model", "expected a model's name", "GET /api/tags lists them");
}

std::optional<double> keep_alive_of(const Fields& fields) {
  const Json* value = fields.find("keep_alive");
  return value ? std::optional(parse_duration(*value, "keep_alive")) : std::nullopt;
}

AnswerRequest read_request(const Json& body, bool chat) {
  const Fields fields(body);
  check_keys(chat ? ollama_chat_keys() : ollama_generate_keys(), body, chat ? "/api/chat" : "/api/generate");
  AnswerRequest request;
  request.chat = chat;
  request.model = model_name(fields);
  request.stream = fields.boolean("stream").value_or(true);
  request.keep_alive = keep_alive_of(fields);
  request.truncate = fields.boolean("truncate").value_or(true);
  if (const Json* options = fields.object("options")) request.options = *options;
  if (const Json* format = fields.find("format"); format && *format != "") request.format = *format;
  if (const Json* think = fields.find("think")) {
    // Some models know levels; here each of them means yes.
    if (think->is_string() && (*think == "low" || *think == "medium" || *think == "high")) request.think = true;
    else request.think = fields.boolean("think");
  }
  if (request.think == true && !request.format.is_null()) throw Error(ErrorCode::kUnsupported, "think", "reasoning and format do not go together", "leave one of them out");
  request.logprobs = fields.boolean("logprobs").value_or(false);
  request.top_logprobs = static_cast<int32_t>(fields.integer("top_logprobs", 0, 20).value_or(0));
  if (chat) {
    if (const Json* messages = fields.array("messages", kMaxMessages))
      for (size_t i = 0; i < messages->size(); ++i) request.conversation.messages.push_back(data::read_message((*messages)[i], fmt::format("messages[{}]", i)));
    request.conversation.tools = tools_of(fields);
    request.calls = read_tool_choice(fields, request.conversation.tools);
    if (request.calls.required) {  // a call comes first, and nothing else
      if (request.think == true) throw Error(ErrorCode::kUnsupported, "think", "reasoning does not go together with a call that is required", "leave one of them out");
      request.think = false;
      request.format = nullptr;
    }
    request.empty = request.conversation.messages.empty();
    return request;
  }
  request.prompt = fields.string("prompt").value_or("");
  request.system = fields.string("system");
  request.raw = fields.boolean("raw").value_or(false);
  if (const Json* context = fields.find("context")) request.context = token_ids(fields, "context", *context);
  request.suffix = fields.string("suffix").value_or("");
  request.turn_template = fields.string("template", size_t{1} << 20).value_or("");
  request.empty = request.prompt.empty() && request.suffix.empty();
  if (!request.suffix.empty()) {
    if (!request.turn_template.empty()) throw Error(ErrorCode::kUnsupported, "template", "a gap is filled without a template", "leave suffix or template out");
    if (request.system && !request.system->empty()) throw Error(ErrorCode::kUnsupported, "system", "a gap is filled without a system message", "leave suffix or system out");
    if (!request.context.empty()) throw Error(ErrorCode::kUnsupported, "context", "a gap is filled without an earlier conversation", "leave suffix or context out");
  }
  return request;
}

PreparedAnswer prepare(const Resident& model, const AnswerRequest& request) {
  PreparedAnswer prepared;
  const Settings settings = ollama_settings(model.entry.parameters, request.options);
  const int64_t context = context_of(settings, model.context());
  std::vector<int32_t> stop_ids = model.files.stop_ids;
  if (!request.suffix.empty()) {
    Infill gap = infill(model.files, model.entry.name, request.prompt, request.suffix, "suffix");
    prepared.request.prompt = std::move(gap.prompt);
    stop_ids = std::move(gap.stop_ids);
  } else if (request.raw) {
    prepared.request.prompt = raw_prompt(model, request.prompt, /*special=*/true);
  } else if (!request.turn_template.empty()) {
    const text::RenderedPrompt turn = turn_of(request, request.system.value_or(model.entry.system));
    const bool begins = !model.files.bos_token.empty() && turn.text.starts_with(model.files.bos_token);
    prepared.request.prompt = model.files.tokenizer.encode(turn.text, {.add_special = !begins, .plain = turn.words});
    prepared.split = model.files.split_options(/*inside=*/false);
  } else {
    ChatRequest conversation = request.conversation;
    if (!request.chat) {
      if (request.system && !request.system->empty()) conversation.messages.push_back({{"role", "system"}, {"content", *request.system}});
      conversation.messages.push_back({{"role", "user"}, {"content", request.prompt}});
    }
    conversation.think = request.format.is_null() ? request.think : std::optional(false);  // JSON comes first, or after nothing
    Prompt prompt = chat_prompt(model, conversation, request.truncate ? context : INT64_MAX);
    prepared.split = prompt.split;
    prepared.split.one_call = !request.calls.parallel;
    prepared.request.prompt = std::move(prompt.ids);
  }
  if (!request.context.empty()) {
    std::vector<int32_t> ids = request.context;
    check_ids(model, ids, "context");
    const auto& turn = prepared.request.prompt;
    const bool again = !turn.empty() && turn.front() == model.files.tokenizer.bos() && ids.front() == turn.front();  // one begin token is enough
    ids.insert(ids.end(), turn.begin() + (again ? 1 : 0), turn.end());
    prepared.request.prompt = std::move(ids);
  }
  const auto size = static_cast<int64_t>(prepared.request.prompt.size());
  if (size >= context) throw Error(ErrorCode::kInvalidInput, "prompt", fmt::format("{} tokens leave no room in a context of {}", size, context), "shorten it");
  prepared.request.options = settings.generate;
  prepared.request.options.max_tokens = room(settings, size, context);
  prepared.request.options.stop_ids = std::move(stop_ids);
  prepared.request.filter = filter_of(settings, request.calls.required    ? call_filter(model, request.conversation.tools, request.calls)
                                                : request.format.is_null() ? nullptr
                                                                           : model.json_filter(request.format));
  if (request.logprobs) prepared.request.top_logprobs = request.top_logprobs;
  prepared.shape = {.model = request.model, .chat = request.chat, .stream = request.stream, .logprobs = request.logprobs,
                    .hide_thinking = request.think && !*request.think, .prompt = request.chat ? std::vector<int32_t>() : prepared.request.prompt, .started = {}};
  return prepared;
}

}  // namespace hone::serve::ollama
