#include "serve/models/prompt.h"

#include <algorithm>

#include "base/error.h"

namespace hone::serve {
namespace {

constexpr size_t kMaxToolCalls = 128;

void refuse(const std::string& where, const std::string& message) { throw Error(ErrorCode::kInvalidInput, where, message); }

Json checked_calls(const Json& calls, const std::string& where) {
  if (!calls.is_array() || calls.size() > kMaxToolCalls) refuse(where, fmt::format("expected a list of at most {} tool calls", kMaxToolCalls));
  Json result = Json::array();
  for (const Json& call : calls) {
    const Fields fields(call, where);
    const Json* function = fields.object("function");
    if (!function) refuse(where, "expected a function in every tool call");
    const Fields inner(*function, where + ".function");
    const auto name = inner.string("name", 256);
    if (!name || name->empty()) refuse(inner.path("name"), "expected the function's name");
    Json arguments = Json::object();
    if (const Json* found = inner.find("arguments")) {
      arguments = found->is_string() ? parse_body(found->get_ref<const std::string&>().empty() ? "{}" : found->get_ref<const std::string&>()) : *found;
      if (!arguments.is_object()) refuse(inner.path("arguments"), "expected an object");
    }
    Json one = {{"type", "function"}, {"function", {{"name", *name}, {"arguments", arguments}}}};
    if (const auto id = fields.string("id", 256)) one["id"] = *id;
    result.push_back(std::move(one));
  }
  return result;
}

bool good_role(const std::string& role) {
  return !role.empty() && role.size() <= 32 && role.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos;
}

size_t system_messages(const Json& messages) {
  size_t count = 0;
  while (count < messages.size() && messages[count]["role"] == "system") ++count;
  return count;
}

std::vector<int32_t> rendered(const Resident& model, const Json& messages, const ChatRequest& request, std::string* tail) {
  if (!model.files.chat) return model.files.encode_prompt(messages);
  text::RenderOptions options = model.files.render_options();
  options.add_generation_prompt = !(messages.back()["role"] == "assistant");
  options.continue_final = !options.add_generation_prompt;
  options.tools = request.tools;
  options.extra = request.extra;
  if (request.think && model.enable_thinking) options.extra["enable_thinking"] = *request.think;
  const text::RenderedPrompt prompt = model.files.chat->render_prompt(messages, options);
  std::string text = prompt.text;
  const size_t end = text.find_last_not_of(" \n");
  const bool opened = end != std::string::npos && options.add_generation_prompt && std::string_view(text).substr(0, end + 1).ends_with("<think>");
  if (opened && request.think && !*request.think) text += "\n</think>\n\n";
  else if (opened) *tail = "<think>";
  return model.files.tokenizer.encode(text, {.add_special = false, .plain = prompt.words});
}

}  // namespace

std::string content_text(const Json& content, const std::string& where) {
  if (content.is_null()) return "";
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) refuse(where, "expected a string or a list of parts");
  std::string text;
  for (const Json& part : content) {
    if (!part.is_object() || !part.contains("type") || !part["type"].is_string()) refuse(where, "expected parts with a type");
    const std::string type = part["type"].get<std::string>();
    if (type != "text" && type != "input_text") throw Error(ErrorCode::kUnsupported, where, fmt::format("parts of type {} are not understood: these models read text only", type));
    if (!part.contains("text") || !part["text"].is_string()) refuse(where, "expected a text");
    text += part["text"].get<std::string>();
  }
  return text;
}

Json checked_message(const Json& message, const std::string& where) {
  const Fields fields(message, where);
  std::string role = fields.string("role").value_or("");
  if (role == "developer") role = "system";
  if (!good_role(role)) refuse(fields.path("role"), "expected a role such as system, user, assistant or tool");
  Json result = {{"role", role}};
  result["content"] = fields.has("content") ? content_text(*fields.find("content"), fields.path("content")) : "";
  if (const Json* images = fields.array("images", 1024); images && !images->empty())
    throw Error(ErrorCode::kUnsupported, fields.path("images"), "these models read text only");
  if (const Json* calls = fields.find("tool_calls")) {
    Json checked = checked_calls(*calls, fields.path("tool_calls"));
    if (!checked.empty()) result["tool_calls"] = std::move(checked);
  }
  for (const char* key : {"tool_call_id", "name", "tool_name"})
    if (const auto value = fields.string(key, 256)) result[key] = *value;
  if (result.contains("tool_name") && !result.contains("name")) result["name"] = result["tool_name"];
  for (const char* key : {"reasoning_content", "thinking"})
    if (const auto value = fields.string(key)) result["reasoning_content"] = *value;
  return result;
}

Json checked_tools(const Json* tools) {
  if (!tools || tools->empty()) return nullptr;
  Json result = Json::array();
  for (size_t i = 0; i < tools->size(); ++i) {
    const Fields fields((*tools)[i], fmt::format("tools[{}]", i));
    if (const auto type = fields.string("type", 64); type && *type != "function")
      throw Error(ErrorCode::kUnsupported, fields.path("type"), fmt::format("tools of type {} are not understood", *type), "functions are");
    const Json* function = fields.object("function");
    if (!function) refuse(fields.path("function"), "expected an object");
    const Fields inner(*function, fields.path("function"));
    if (inner.string("name", 256).value_or("").empty()) refuse(inner.path("name"), "expected the function's name");
    Json one = (*tools)[i];
    one["type"] = "function";
    result.push_back(std::move(one));
  }
  return result;
}

std::vector<int32_t> raw_prompt(const Resident& model, std::string_view text, bool special) {
  return model.files.tokenizer.encode(text, {.parse_special = special});
}

void check_ids(const Resident& model, const std::vector<int32_t>& ids, const std::string& where) {
  const int64_t size = model.files.tokenizer.vocab_size();
  for (const int32_t id : ids)
    if (id < 0 || id >= size) throw Error(ErrorCode::kInvalidInput, where, fmt::format("the model has no token {}", id), fmt::format("ids go up to {}", size - 1));
}

Prompt chat_prompt(const Resident& model, const ChatRequest& request, int64_t context) {
  Json messages = request.messages;
  if (messages.empty()) throw Error(ErrorCode::kInvalidInput, "messages", "expected at least one message");
  if (!request.tools.is_null() && !model.tools)
    throw Error(ErrorCode::kUnsupported, "tools", fmt::format("{} does not support tools", model.entry.name), "its chat template does not show them");
  const bool system = !model.entry.system.empty() && system_messages(messages) == 0;
  if (system || !model.entry.messages.empty()) {
    // System messages, the model's examples, the conversation.
    const auto own = messages.begin() + static_cast<Json::difference_type>(system_messages(messages));
    Json with = Json::array();
    if (system) with.push_back({{"role", "system"}, {"content", model.entry.system}});
    with.insert(with.end(), messages.begin(), own);
    with.insert(with.end(), model.entry.messages.begin(), model.entry.messages.end());
    with.insert(with.end(), own, messages.end());
    messages = std::move(with);
  }
  const size_t kept = system_messages(messages);
  for (;;) {
    Prompt prompt;
    std::string tail;
    prompt.ids = rendered(model, messages, request, &tail);
    prompt.split.thinking = model.thinks;
    prompt.split.inside = !tail.empty();
    prompt.split.tools = !request.tools.is_null();
    if (static_cast<int64_t>(prompt.ids.size()) < context) return prompt;
    if (messages.size() <= kept + 1)
      throw Error(ErrorCode::kInvalidInput, "messages", fmt::format("{} tokens leave no room in a context of {}", prompt.ids.size(), context), "shorten them");
    // An answer goes with its question; half of what is too much at a time keeps this quick for long conversations.
    const size_t over = (messages.size() - kept) * static_cast<size_t>(static_cast<int64_t>(prompt.ids.size()) - context + 1) / prompt.ids.size() / 2;
    size_t drop = std::clamp<size_t>(over, 1, messages.size() - kept - 1);
    while (kept + drop < messages.size() - 1 && messages[kept + drop]["role"] != "user") ++drop;
    messages.erase(messages.begin() + static_cast<Json::difference_type>(kept), messages.begin() + static_cast<Json::difference_type>(kept + drop));
  }
}

}  // namespace hone::serve
