#include "serve/openai/responses.h"

#include <map>

#include "serve/api/errors.h"
#include "serve/api/request_keys.h"
#include "serve/api/settings.h"
#include "serve/openai/requests.h"

namespace hone::serve::openai {
namespace {

constexpr int64_t kMaxOutput = int64_t{1} << 24;

[[noreturn]] void unsupported(const std::string& where, const std::string& message, const std::string& hint = {}) { throw Error(ErrorCode::kUnsupported, where, message, hint); }

// A text, or parts of type input_text, output_text or text.
std::string item_text(const Fields& item, const char* name) {
  const Json* content = item.find(name);
  if (!content) return "";
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  const Json& parts = *item.array(name, 4096);
  for (size_t i = 0; i < parts.size(); ++i) {
    const Fields part(parts[i], fmt::format("{}[{}]", item.path(name), i));
    const std::string type = part.string("type", 64).value_or("");
    if (type != "input_text" && type != "output_text" && type != "text" && type != "reasoning_text" && type != "summary_text")
      unsupported(part.path("type"), fmt::format("parts of type {} are not understood: these models read text only", type.empty() ? "none" : type));
    const auto one = part.string("text");
    if (!one) throw Error(ErrorCode::kInvalidInput, part.path("text"), "expected a text");
    text += *one;
  }
  return text;
}

// Turns items into messages: calls and reasoning belong to the assistant's message beside them.
class Items {
 public:
  void add(const Fields& item) {
    const std::string type = item.string("type", 64).value_or(item.has("role") ? "message" : "");
    if (type == "message") return message(item);
    if (type == "function_call") return call(item);
    if (type == "function_call_output") return output(item);
    if (type == "reasoning") {
      reasoning_ += item.has("content") ? item_text(item, "content") : item_text(item, "summary");
      return;
    }
    if (type == "item_reference") unsupported(item.path("type"), "no items are kept between requests", "send the item itself");
    if (type.empty()) throw Error(ErrorCode::kInvalidInput, item.path("type"), "expected message, function_call, function_call_output or reasoning");
    unsupported(item.path("type"), fmt::format("items of type {} are not understood", type));
  }
  Json take() { return std::move(list_); }

 private:
  void message(const Fields& item) {
    const std::string role = item.string("role", 32).value_or("");
    if (role != "user" && role != "assistant" && role != "system" && role != "developer") throw Error(ErrorCode::kInvalidInput, item.path("role"), "expected user, assistant, system or developer");
    if (role != "assistant" && !item.has("content")) throw Error(ErrorCode::kInvalidInput, item.path("content"), "expected a text, or a list of parts");
    Json one = {{"role", role == "developer" ? "system" : role}, {"content", item_text(item, "content")}};
    if (role == "assistant") reason(one);
    list_.push_back(std::move(one));
  }
  void call(const Fields& item) {
    const std::string id = needed(item, "call_id"), name = needed(item, "name");
    const std::string arguments = item.string("arguments").value_or("");
    names_[id] = name;
    if (list_.empty() || list_.back()["role"] != "assistant") list_.push_back({{"role", "assistant"}, {"content", ""}});
    Json& last = list_.back();
    reason(last);
    last["tool_calls"].push_back({{"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", parsed(arguments.empty() ? "{}" : arguments, item.path("arguments"))}}}});
  }
  void output(const Fields& item) {
    const std::string id = needed(item, "call_id");
    const auto known = names_.find(id);
    if (known == names_.end()) throw Error(ErrorCode::kInvalidInput, item.path("call_id"), "no earlier function_call has this id");
    list_.push_back({{"role", "tool"}, {"content", item_text(item, "output")}, {"tool_call_id", id}, {"name", known->second}});
  }
  void reason(Json& message) {
    if (!reasoning_.empty()) message["reasoning_content"] = std::exchange(reasoning_, {});
  }
  static Json parsed(const std::string& arguments, const std::string& where) {
    try {
      return parse_body(arguments);
    } catch (const Error& error) {
      throw Error(ErrorCode::kInvalidInput, where, error.message());
    }
  }
  static std::string needed(const Fields& item, const char* name) {
    const auto value = item.string(name, 256);
    if (!value || value->empty()) throw Error(ErrorCode::kInvalidInput, item.path(name), "expected a text");
    return *value;
  }

  Json list_ = Json::array();
  std::string reasoning_;
  std::map<std::string, std::string> names_;  // of functions, by the id of their call
};

// {"type": "function", "name", …}: the fields stand beside the type.
Json function_tools(const Fields& fields) {
  const Json* tools = fields.array("tools", kMaxTools);
  if (!tools || tools->empty()) return nullptr;
  Json list = Json::array();
  for (size_t i = 0; i < tools->size(); ++i) {
    const Fields tool((*tools)[i], fmt::format("tools[{}]", i));
    const std::string type = tool.string("type", 64).value_or("");
    if (type != "function") unsupported(tool.path("type"), fmt::format("tools of type {} run at OpenAI", type.empty() ? "none" : type), "describe a function of your own");
    Json function = Json::object();
    for (const char* key : {"name", "description", "parameters"})
      if (const Json* value = tool.find(key)) function[key] = *value;
    list.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return data::read_tools(list, "tools", kMaxTools);
}

Json text_format_of(const Fields& fields) {
  const Json* text = fields.object("text");
  const Json* format = text ? Fields(*text, "text").object("format") : nullptr;
  if (!format) return nullptr;
  const Fields inner(*format, "text.format");
  const std::string type = inner.string("type", 64).value_or("");
  if (type == "text") return nullptr;
  if (type == "json_object") return "json";
  if (type != "json_schema") throw Error(ErrorCode::kInvalidInput, "text.format.type", "expected text, json_object or json_schema");
  const Json* schema = inner.object("schema");
  if (!schema) throw Error(ErrorCode::kInvalidInput, "text.format.schema", "expected a JSON schema");
  return *schema;
}

void refuse_log_probabilities(const Fields& fields) {
  if (const Json* include = fields.array("include", 64))
    for (const Json& one : *include)
      if (one == "message.output_text.logprobs") unsupported("include", "responses come without log probabilities", "use /v1/chat/completions");
}

}  // namespace

ResponseRequest read_response_request(const Json& body) {
  const Fields fields(body);
  check_keys(response_keys(), body, "/v1/responses");
  ResponseRequest request;
  request.model = fields.string("model", 512).value_or("");
  if (request.model.empty()) throw Error(ErrorCode::kInvalidInput, "model", "expected a model's name", "GET /v1/models lists them");
  refuse_log_probabilities(fields);
  request.stream = fields.boolean("stream").value_or(false);
  request.max_output_tokens = fields.integer("max_output_tokens", 1, kMaxOutput);
  if (const Json* keep = fields.find("keep_alive")) request.keep_alive = parse_duration(*keep, "keep_alive");
  const std::string truncation = fields.string("truncation", 32).value_or("disabled");
  if (truncation != "auto" && truncation != "disabled") fields.refuse("truncation", "auto or disabled");
  request.truncate = truncation == "auto";

  Items items;
  const Json* input = fields.find("input");
  if (!input) throw Error(ErrorCode::kInvalidInput, "input", "expected a text or a list of items");
  if (input->is_string()) {
    const Json message = {{"role", "user"}, {"content", *input}};
    items.add(Fields(message, "input"));
  } else {
    const Json& list = *fields.array("input", kMaxMessages);
    for (size_t i = 0; i < list.size(); ++i) items.add(Fields(list[i], fmt::format("input[{}]", i)));
  }
  request.conversation.messages = items.take();
  if (request.conversation.messages.empty()) throw Error(ErrorCode::kInvalidInput, "input", "expected at least one message");
  const auto instructions = fields.string("instructions");
  if (instructions && !instructions->empty()) request.conversation.messages.insert(request.conversation.messages.begin(), Json{{"role", "system"}, {"content", *instructions}});
  request.conversation.tools = function_tools(fields);
  request.calls = read_tool_choice(fields, request.conversation.tools);
  request.format = text_format_of(fields);
  const Json* reasoning = fields.object("reasoning");
  if (reasoning) request.conversation.think = effort_of(Fields(*reasoning, "reasoning"), "effort");
  request.conversation.think_if_taught = true;
  if (!request.format.is_null() || request.calls.required) request.conversation.think = false;  // JSON, or a call, comes first
  if (request.calls.required) request.format = nullptr;

  const auto said = [&](const char* name, Json otherwise) { return fields.has(name) ? *fields.find(name) : otherwise; };
  request.echoed = {{"instructions", said("instructions", nullptr)}, {"max_output_tokens", said("max_output_tokens", nullptr)}, {"metadata", said("metadata", Json::object())}, {"model", request.model},
                    {"parallel_tool_calls", request.calls.parallel}, {"previous_response_id", nullptr}, {"reasoning", said("reasoning", {{"effort", nullptr}, {"summary", nullptr}})}, {"store", false},
                    {"temperature", said("temperature", 1.0)}, {"text", said("text", {{"format", {{"type", "text"}}}})}, {"tool_choice", said("tool_choice", "auto")}, {"tools", said("tools", Json::array())},
                    {"top_p", said("top_p", 1.0)}, {"truncation", truncation}, {"user", said("user", nullptr)}};
  return request;
}

ResponseSink::ResponseSink(Exchange exchange, const ResponseRequest& request)
    : stream_(std::move(exchange), Stream::Kind::kEvents), streamed_(request.stream), hide_thinking_(request.conversation.think == false) {
  base_ = {{"id", random_id("resp_")}, {"object", "response"}, {"created_at", std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count()}};
  base_.update(request.echoed);
}

Json ResponseSink::response(const char* status) const {
  Json json = base_;
  json["status"] = status;
  if (!json.contains("error")) json["error"] = nullptr;
  if (!json.contains("incomplete_details")) json["incomplete_details"] = nullptr;
  if (!json.contains("usage")) json["usage"] = nullptr;
  json["output"] = output_;
  return json;
}

void ResponseSink::event(const char* type, Json json) {
  if (!streamed_) return;
  Json named = {{"type", type}, {"sequence_number", events_++}};
  named.update(json);
  stream_.send(type, named);
}

void ResponseSink::begin() {
  if (!streamed_ || stream_.begun()) return;
  event("response.created", {{"response", response("in_progress")}});
  event("response.in_progress", {{"response", response("in_progress")}});
}

void ResponseSink::add_text(Open kind, const std::string& text) {
  if (text.empty()) return;
  const bool message = kind == Open::kMessage;
  if (open_ != kind) {
    close("completed");
    open_ = kind;
    Json item = message ? Json{{"id", random_id("msg_")}, {"type", "message"}, {"status", "in_progress"}, {"role", "assistant"}, {"content", Json::array()}}
                        : Json{{"id", random_id("rs_")}, {"type", "reasoning"}, {"status", "in_progress"}, {"summary", Json::array()}, {"content", Json::array()}};
    Json part = message ? Json{{"type", "output_text"}, {"text", ""}, {"annotations", Json::array()}, {"logprobs", Json::array()}} : Json{{"type", "reasoning_text"}, {"text", ""}};
    output_.push_back(item);
    event("response.output_item.added", {{"output_index", output_.size() - 1}, {"item", item}});
    event("response.content_part.added", {{"item_id", item["id"]}, {"output_index", output_.size() - 1}, {"content_index", 0}, {"part", part}});
    output_.back()["content"].push_back(std::move(part));
  }
  Json& item = output_.back();
  item["content"][0]["text"].get_ref<std::string&>() += text;
  Json delta = {{"item_id", item["id"]}, {"output_index", output_.size() - 1}, {"content_index", 0}, {"delta", text}};
  if (message) delta["logprobs"] = Json::array();
  event(message ? "response.output_text.delta" : "response.reasoning_text.delta", std::move(delta));
}

void ResponseSink::close(const char* status) {
  if (open_ == Open::kNone) return;
  const bool message = open_ == Open::kMessage;
  open_ = Open::kNone;
  Json& item = output_.back();
  item["status"] = status;
  Json done = {{"item_id", item["id"]}, {"output_index", output_.size() - 1}, {"content_index", 0}, {"text", item["content"][0]["text"]}};
  if (message) done["logprobs"] = Json::array();
  event(message ? "response.output_text.done" : "response.reasoning_text.done", std::move(done));
  event("response.content_part.done", {{"item_id", item["id"]}, {"output_index", output_.size() - 1}, {"content_index", 0}, {"part", item["content"][0]}});
  event("response.output_item.done", {{"output_index", output_.size() - 1}, {"item", item}});
}

void ResponseSink::add_call(const ToolCall& call) {
  close("completed");
  const std::string arguments = dump(call.arguments), id = random_id("fc_");
  Json item = {{"id", id}, {"type", "function_call"}, {"status", "in_progress"}, {"call_id", random_id("call_")}, {"name", call.name}, {"arguments", ""}};
  output_.push_back(item);
  const size_t index = output_.size() - 1;
  event("response.output_item.added", {{"output_index", index}, {"item", item}});
  event("response.function_call_arguments.delta", {{"item_id", id}, {"output_index", index}, {"delta", arguments}});
  event("response.function_call_arguments.done", {{"item_id", id}, {"output_index", index}, {"name", call.name}, {"arguments", arguments}});
  output_[index]["status"] = "completed";
  output_[index]["arguments"] = arguments;
  event("response.output_item.done", {{"output_index", index}, {"item", output_[index]}});
}

void ResponseSink::take(const Part& part) {
  if (!hide_thinking_) add_text(Open::kReasoning, part.thinking);
  add_text(Open::kMessage, part.content);
  for (const ToolCall& call : part.calls) add_call(call);
}

bool ResponseSink::on_token(const infer::TokenEvent&, const Part& part) {
  begin();
  take(part);
  return !stream_.gone();
}

void ResponseSink::on_end(const Part& rest, const infer::Outcome& outcome) {
  const Exchange& exchange = stream_.exchange();
  if (const auto failure = failure_of(outcome)) {
    if (!stream_.begun()) return exchange->send(error_response(exchange->request(), *failure));
    const std::string message = in_words(*failure);
    close("incomplete");
    base_["error"] = {{"code", "server_error"}, {"message", message}};
    event("response.failed", {{"response", response("failed")}});
    return stream_.end();
  }
  begin();
  take(rest);
  const bool cut = outcome.finish == infer::Finish::kLength;
  close(cut ? "incomplete" : "completed");
  if (cut) base_["incomplete_details"] = {{"reason", "max_output_tokens"}};
  base_["usage"] = {{"input_tokens", outcome.prompt_tokens}, {"input_tokens_details", {{"cached_tokens", outcome.reused_tokens}}}, {"output_tokens", outcome.answer_tokens},
                    {"output_tokens_details", {{"reasoning_tokens", 0}}}, {"total_tokens", outcome.prompt_tokens + outcome.answer_tokens}};
  const Json whole = response(cut ? "incomplete" : "completed");
  if (!streamed_) return exchange->send(json_response(whole));
  event(cut ? "response.incomplete" : "response.completed", {{"response", whole}});
  stream_.end();
}

void respond(Service& service, const Exchange& exchange) {
  const Json body = parse_body(exchange->request().body);
  const ResponseRequest request = read_response_request(body);
  auto lease = std::make_shared<ModelPool::Lease>(service.pool.acquire(request.model, request.keep_alive));
  const Resident& model = **lease;
  Settings settings = openai_settings(model.entry.parameters, Fields(body));
  check_bias(model, settings);
  if (request.max_output_tokens) settings.max_tokens = *request.max_output_tokens;
  const int64_t context = context_of(settings, model.context());
  Prompt prompt = chat_prompt(model, request.conversation, request.truncate ? context : INT64_MAX);
  const auto size = static_cast<int64_t>(prompt.ids.size());
  if (size >= context) throw Error(ErrorCode::kInvalidInput, "input", fmt::format("{} tokens leave no room in a context of {}", size, context), "shorten it, or set truncation to auto");
  prompt.split.one_call = !request.calls.parallel;
  infer::Request one;
  one.prompt = std::move(prompt.ids);
  one.options = settings.generate;
  one.options.stop_ids = model.files.stop_ids;
  one.options.max_tokens = room(settings, size, context);
  one.filter = filter_of(settings, request.calls.required    ? call_filter(model, request.conversation.tools, request.calls)
                                   : request.format.is_null() ? nullptr
                                                              : model.json_filter(request.format));
  auto sink = std::make_shared<ResponseSink>(exchange, request);
  cancel_when_gone(exchange, {service.answers.start(std::move(lease), std::move(one), prompt.split, std::move(sink))});
}

}  // namespace hone::serve::openai
