#include "serve/openai/requests.h"

#include <algorithm>

#include "base/error.h"
#include "serve/api/request_keys.h"

namespace hone::serve::openai {
namespace {

constexpr size_t kMaxPrompts = 128;
constexpr int64_t kMaxChoices = 16;

bool is_ids(const Json& list) { return !list.empty() && list[0].is_number(); }

Json format_of(const Fields& fields) {
  const Json* format = fields.object("response_format");
  if (!format) return nullptr;
  const Fields inner(*format, "response_format");
  const std::string type = inner.string("type", 64).value_or("");
  if (type == "text") return nullptr;
  if (type == "json_object") {
    const Json* schema = inner.object("schema");  // as llama.cpp's and Together's
    return schema ? *schema : Json("json");
  }
  if (type == "json_schema") {
    const Json* described = inner.object("json_schema");
    const Json* schema = described && described->contains("schema") ? &(*described)["schema"] : nullptr;
    if (!schema || !schema->is_object()) throw Error(ErrorCode::kInvalidInput, "response_format.json_schema.schema", "expected a JSON schema");
    return *schema;
  }
  throw Error(ErrorCode::kInvalidInput, "response_format.type", "expected text, json_object or json_schema");
}

// What OpenAI's own server refuses is refused, since the template would pass it over: unknown roles, nothing said.
Json read_message(const Json& message, const std::string& where) {
  Json read = data::read_message(message, where);
  const Fields fields(message, where);
  const std::string role = read["role"].get<std::string>();
  if (role != "system" && role != "user" && role != "assistant" && role != "tool")
    fields.refuse("role", "system, developer, user, assistant or tool");
  if (role != "assistant" && !fields.has("content"))
    throw Error(ErrorCode::kInvalidInput, fields.path("content"), "expected a text, or a list of parts");
  return read;
}

// DeepSeek's and Qwen's own fields, and OpenAI's effort.
std::optional<bool> thinking_wanted(const Fields& fields) {
  if (const Json* thinking = fields.object("thinking")) {
    const Fields inner(*thinking, "thinking");
    const std::string type = inner.string("type", 64).value_or("");
    if (type != "enabled" && type != "disabled" && type != "adaptive")
      throw Error(ErrorCode::kInvalidInput, "thinking.type", "expected enabled, adaptive or disabled");
    return type != "disabled";
  }
  if (const auto enabled = fields.boolean("enable_thinking")) return enabled;
  return effort_of(fields, "reasoning_effort");
}

std::string prediction_of(const Fields& fields) {
  const Json* prediction = fields.object("prediction");
  if (!prediction) return "";
  const Fields inner(*prediction, "prediction");
  if (inner.string("type", 64) != "content") throw Error(ErrorCode::kInvalidInput, "prediction.type", "expected content");
  if (!inner.has("content")) throw Error(ErrorCode::kInvalidInput, "prediction.content", "expected a text, or a list of parts");
  return data::content_text(*inner.find("content"), "prediction.content");
}

}  // namespace

std::optional<bool> effort_of(const Fields& fields, const char* name) {
  const auto effort = fields.string(name, 32);
  if (!effort) return std::nullopt;
  if (effort == "none" || effort == "minimal") return false;
  for (const char* more : {"low", "medium", "high", "xhigh", "max"})
    if (effort == more) return true;
  fields.refuse(name, "none, minimal, low, medium, high, xhigh or max");
}

void check_bias(const Resident& model, const Settings& settings) {
  std::vector<int32_t> ids;
  for (const auto& [id, bias] : settings.penalties.bias) ids.push_back(id);
  check_ids(model, ids, "logit_bias");
}

std::vector<TextInput> read_inputs(const Fields& fields, const char* name, size_t max) {
  const Json* value = fields.find(name);
  if (!value) throw Error(ErrorCode::kInvalidInput, fields.path(name), "expected a text, or a list of texts");
  if (value->is_string()) return {{value->get<std::string>(), {}, false}};
  if (!value->is_array() || value->empty()) fields.refuse(name, "a text, or a list of texts or token ids");
  if (is_ids(*value)) return {{"", token_ids(fields, name, *value), true}};
  std::vector<TextInput> inputs;
  for (const Json& item : *fields.array(name, max)) {
    if (item.is_string()) inputs.push_back({item.get<std::string>(), {}, false});
    else if (item.is_array() && is_ids(item)) inputs.push_back({"", token_ids(fields, name, item), true});
    else fields.refuse(name, "a text, or a list of texts or token ids");
  }
  return inputs;
}

std::vector<int32_t> tokens_of(const Resident& model, const TextInput& input, bool special, const char* name) {
  if (!input.is_ids) return raw_prompt(model, input.text, special);
  check_ids(model, input.ids, name);
  return input.ids;
}

CompletionRequest read_request(const Json& body, bool chat) {
  const Fields fields(body);
  check_keys(chat ? chat_completion_keys() : completion_keys(), body, chat ? "/v1/chat/completions" : "/v1/completions");
  CompletionRequest request;
  request.chat = chat;
  request.model = fields.string("model", 512).value_or("");
  if (request.model.empty()) throw Error(ErrorCode::kInvalidInput, "model", "expected a model's name", "GET /v1/models lists them");
  request.n = fields.integer("n", 1, kMaxChoices).value_or(1);
  request.stream = fields.boolean("stream").value_or(false);
  if (const Json* options = fields.object("stream_options")) request.include_usage = Fields(*options, "stream_options").boolean("include_usage").value_or(false);
  if (const Json* keep = fields.find("keep_alive")) request.keep_alive = parse_duration(*keep, "keep_alive");
  request.format = format_of(fields);
  if (chat) {
    const Json* messages = fields.array("messages", kMaxMessages);
    if (!messages || messages->empty()) throw Error(ErrorCode::kInvalidInput, "messages", "expected at least one message");
    for (size_t i = 0; i < messages->size(); ++i) request.conversation.messages.push_back(read_message((*messages)[i], fmt::format("messages[{}]", i)));
    request.conversation.tools = tools_of(fields);
    request.calls = read_tool_choice(fields, request.conversation.tools);
    if (const Json* extra = fields.object("chat_template_kwargs")) request.conversation.extra = *extra;
    request.conversation.think = thinking_wanted(fields);
    request.conversation.think_if_taught = true;
    request.conversation.continue_final = fields.boolean("continue_final_message").value_or(true);
    if (!request.format.is_null() || request.calls.required) request.conversation.think = false;  // JSON, or a call, comes first
    if (request.calls.required) request.format = nullptr;                                            // of the answer's content: there is none
    request.prediction = prediction_of(fields);
    request.logprobs = fields.boolean("logprobs").value_or(false);
    request.top_logprobs = static_cast<int32_t>(fields.integer("top_logprobs", 0, 20).value_or(0));
    if (request.top_logprobs > 0 && !request.logprobs) throw Error(ErrorCode::kInvalidInput, "top_logprobs", "is given without logprobs: true");
    return request;
  }
  request.prompts = read_inputs(fields, "prompt", kMaxPrompts);
  request.echo = fields.boolean("echo").value_or(false);
  if (const auto best = fields.integer("best_of", 1, kMaxChoices); best && *best != request.n)
    throw Error(ErrorCode::kUnsupported, "best_of", "choosing among more answers than are returned is not built in", "give it the value of n");
  request.suffix = fields.string("suffix").value_or("");
  if (!request.suffix.empty() && std::any_of(request.prompts.begin(), request.prompts.end(), [](const TextInput& input) { return input.is_ids; }))
    throw Error(ErrorCode::kUnsupported, "suffix", "goes with a prompt of text, not of tokens");
  if (const auto logprobs = fields.integer("logprobs", 0, 20)) {
    request.logprobs = true;
    request.top_logprobs = static_cast<int32_t>(*logprobs);
  }
  return request;
}

}  // namespace hone::serve::openai
