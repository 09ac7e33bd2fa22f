#include "serve/anthropic/requests.h"

#include <map>

#include "base/error.h"
#include "serve/api/request_keys.h"

namespace hone::serve::anthropic {
namespace {

constexpr size_t kMaxBlocks = 4096;  // of one message

[[noreturn]] void refuse(const std::string& where, const std::string& message) { throw Error(ErrorCode::kInvalidInput, where, message); }

std::string type_of(const Fields& block) { return block.string("type", 64).value_or(""); }

[[noreturn]] void unknown_block(const Fields& block) {
  const std::string type = type_of(block);
  if (type.empty()) refuse(block.path("type"), "expected the block's type");
  throw Error(ErrorCode::kUnsupported, block.path("type"), fmt::format("blocks of type {} are not understood here: these models read text only", type));
}

// A string, or a list of text blocks.
std::string text_of(const Fields& fields, const char* name) {
  const Json* value = fields.find(name);
  if (!value) return "";
  if (value->is_string()) return value->get<std::string>();
  std::string text;
  const Json& blocks = *fields.array(name, kMaxBlocks);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Fields block(blocks[i], fmt::format("{}[{}]", fields.path(name), i));
    if (type_of(block) != "text") unknown_block(block);
    const auto one = block.string("text");
    if (!one) refuse(block.path("text"), "expected a text");
    text += *one;
  }
  return text;
}

std::string needed(const Fields& fields, const char* name) {
  const auto value = fields.string(name, 256);
  if (!value || value->empty()) refuse(fields.path(name), "expected a text");
  return *value;
}

// Turns the blocks of messages into messages of the kind that chat templates read.
class Conversation {
 public:
  void add(const Fields& message) {
    const std::string role = message.string("role", 32).value_or("");
    if (role != "user" && role != "assistant") refuse(message.path("role"), "expected user or assistant; a system prompt has a field of its own");
    const Json* content = message.find("content");
    if (!content) refuse(message.path("content"), "expected a text or a list of blocks");
    if (content->is_string()) {
      list_.push_back({{"role", role}, {"content", *content}});
      return;
    }
    const Json& blocks = *message.array("content", kMaxBlocks);
    Json one = {{"role", role}, {"content", ""}};
    bool used = blocks.empty();
    for (size_t i = 0; i < blocks.size(); ++i) {
      const Fields block(blocks[i], fmt::format("{}[{}]", message.path("content"), i));
      if (role == "user" && type_of(block) == "tool_result") {
        result(block);  // before the words that stand beside it
        continue;
      }
      used = true;
      if (role == "user" || type_of(block) == "text") text(block, one);
      else assistant(block, one);
    }
    if (used) list_.push_back(std::move(one));
  }
  Json take() { return std::move(list_); }

 private:
  static void text(const Fields& block, Json& message) {
    if (type_of(block) != "text") unknown_block(block);
    const auto text = block.string("text");
    if (!text) refuse(block.path("text"), "expected a text");
    message["content"].get_ref<std::string&>() += *text;
  }
  void assistant(const Fields& block, Json& message) {
    const std::string type = type_of(block);
    if (type == "tool_use") {
      const std::string id = needed(block, "id"), name = needed(block, "name");
      const Json* input = block.object("input");
      names_[id] = name;
      message["tool_calls"].push_back({{"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", input ? *input : Json::object()}}}});
    } else if (type == "thinking") {
      message["reasoning_content"] = message.value("reasoning_content", "") + block.string("thinking").value_or("");
    } else if (type != "redacted_thinking") {
      unknown_block(block);
    }
  }
  void result(const Fields& block) {
    const std::string id = needed(block, "tool_use_id");
    Json one = {{"role", "tool"}, {"content", text_of(block, "content")}, {"tool_call_id", id}};
    if (const auto known = names_.find(id); known != names_.end()) one["name"] = known->second;
    else refuse(block.path("tool_use_id"), "no earlier tool_use has this id");
    if (block.boolean("is_error").value_or(false)) one["content"] = "error: " + one["content"].get<std::string>();
    list_.push_back(std::move(one));
  }

  Json list_ = Json::array();
  std::map<std::string, std::string> names_;  // of tools, by the id of their call
};

Json tools_of(const Fields& fields) {
  const Json* tools = fields.array("tools", kMaxTools);
  Json list = Json::array();
  for (size_t i = 0; tools && i < tools->size(); ++i) {
    const Fields tool((*tools)[i], fmt::format("tools[{}]", i));
    if (const auto type = tool.string("type", 64); type && *type != "custom")
      throw Error(ErrorCode::kUnsupported, tool.path("type"), fmt::format("tools of type {} run at Anthropic", *type), "describe a tool of your own");
    const Json* schema = tool.object("input_schema");
    list.push_back({{"type", "function"}, {"function", {{"name", needed(tool, "name")}, {"description", tool.string("description").value_or("")}, {"parameters", schema ? *schema : Json{{"type", "object"}}}}}});
  }
  return data::read_tools(list, "tools", kMaxTools);
}

// tool_choice: "none" hides the tools, "auto" is what happens anyway.
ToolChoice choice_of(const Fields& fields, Json& tools) {
  ToolChoice choice;
  const Json* asked = fields.object("tool_choice");
  if (!asked) return choice;
  const Fields inner(*asked, "tool_choice");
  const std::string type = type_of(inner);
  choice.parallel = !inner.boolean("disable_parallel_tool_use").value_or(false);
  if (type == "auto") return choice;
  if (type == "none") {
    tools = nullptr;
    return choice;
  }
  if (type == "tool") choice.names = {needed(inner, "name")};
  else if (type != "any") inner.has("type") ? inner.refuse("type", "auto, any, tool or none") : refuse("tool_choice.type", "expected auto, any, tool or none");
  choice.required = true;
  choice.parallel = choice.parallel && type == "any";
  tools = choice.allowed(tools, "tool_choice");
  return choice;
}

bool thinking_wanted(const Fields& fields) {
  const Json* thinking = fields.object("thinking");
  if (!thinking) return false;
  const Fields inner(*thinking, "thinking");
  const std::string type = type_of(inner);
  if (type == "disabled") return false;
  if (type != "enabled" && type != "adaptive") inner.has("type") ? inner.refuse("type", "enabled, adaptive or disabled") : refuse("thinking.type", "expected enabled, adaptive or disabled");
  inner.integer("budget_tokens", 1, INT32_MAX);  // checked only: max_tokens is what counts
  return true;
}

// output_config.format, or the older output_format: {"type": "json_schema", "schema": …}. The rest of output_config is effort.
Json format_of(const Fields& fields) {
  const Json* config = fields.object("output_config");
  const Json* format = config ? Fields(*config, "output_config").object("format") : nullptr;
  const std::string where = format ? "output_config.format" : "output_format";
  if (!format) format = fields.object("output_format");
  if (!format) return nullptr;
  const Fields inner(*format, where);
  if (type_of(inner) != "json_schema") throw Error(ErrorCode::kInvalidInput, where + ".type", "expected json_schema");
  const Json* schema = inner.object("schema");
  if (!schema) throw Error(ErrorCode::kInvalidInput, where + ".schema", "expected a JSON schema");
  return *schema;
}

}  // namespace

MessagesRequest read_request(const Json& body) {
  const Fields fields(body);
  check_keys(message_keys(), body, "/v1/messages");
  MessagesRequest request;
  request.model = fields.string("model", 512).value_or("");
  if (request.model.empty()) throw Error(ErrorCode::kInvalidInput, "model", "expected a model's name", "GET /v1/models lists them");
  request.stream = fields.boolean("stream").value_or(false);
  const Json* messages = fields.array("messages", kMaxMessages);
  if (!messages || messages->empty()) refuse("messages", "expected at least one message");
  Conversation conversation;
  for (size_t i = 0; i < messages->size(); ++i) conversation.add(Fields((*messages)[i], fmt::format("messages[{}]", i)));
  request.conversation.messages = conversation.take();
  if (const std::string system = text_of(fields, "system"); !system.empty()) request.conversation.messages.insert(request.conversation.messages.begin(), Json{{"role", "system"}, {"content", system}});
  request.conversation.tools = tools_of(fields);
  request.calls = choice_of(fields, request.conversation.tools);
  request.conversation.think = thinking_wanted(fields);
  if (request.calls.required && *request.conversation.think) throw Error(ErrorCode::kInvalidInput, "tool_choice", "thinking does not go together with a call that is required", "use auto or none");
  request.format = request.calls.required ? nullptr : format_of(fields);
  if (!request.format.is_null() && *request.conversation.think)
    throw Error(ErrorCode::kUnsupported, "thinking", "reasoning and an output format do not go together", "leave one of them out");
  return request;
}

}  // namespace hone::serve::anthropic
