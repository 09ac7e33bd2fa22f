#include "data/chat_message.h"

#include "base/error.h"
#include "data/row_json.h"

namespace hone::data {
namespace {

constexpr size_t kMaxToolCalls = 128;
constexpr double kMaxWeight = 1000;
constexpr std::string_view kThinkMark = "<think>", kEndThinkMark = "</think>";

[[noreturn]] void refuse(const std::string& where, const std::string& message) {
  throw Error(ErrorCode::kInvalidInput, where, message);
}

std::string_view stripped(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// An object that may be written as JSON text.
Json object_of(const Json& value, const std::string& where) {
  Json object = value;
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    object = stripped(text).empty() ? Json::object() : parse_json_text(text);
    if (object.is_discarded()) refuse(where, fmt::format("expected an object, or one as JSON text; found {}", excerpt_of(value)));
  }
  if (!object.is_object()) refuse(where, fmt::format("expected an object, found {}", excerpt_of(object)));
  return object;
}

Json read_call(const Json& call, const std::string& where) {
  const JsonFields outer(call, where);
  const Json* inside = outer.find("function");
  const bool nested = inside != nullptr && inside->is_object();
  const JsonFields function(nested ? *inside : call, nested ? outer.path("function") : where);
  const auto name = function.string("name", 256);
  if (!name || name->empty()) refuse(function.path("name"), "expected the function's name");
  Json arguments = Json::object();
  for (const char* key : {"parameters", "arguments"})
    if (const Json* found = function.find(key)) arguments = object_of(*found, function.path(key));
  Json one = {{"type", "function"}, {"function", {{"name", *name}, {"arguments", std::move(arguments)}}}};
  if (const auto id = outer.string("id", 256)) one["id"] = *id;
  return one;
}

Json read_calls(const Json& calls, const std::string& where) {
  const Json list = calls.is_string() ? parse_json_text(calls.get_ref<const std::string&>()) : calls;
  if (!list.is_array() || list.size() > kMaxToolCalls)
    refuse(where, fmt::format("expected a list of at most {} tool calls, found {}", kMaxToolCalls, excerpt_of(calls)));
  Json result = Json::array();
  for (size_t i = 0; i < list.size(); ++i) result.push_back(read_call(list[i], fmt::format("{}[{}]", where, i)));
  return result;
}

bool good_role(const std::string& role) {
  return !role.empty() && role.size() <= 32 && role.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos;
}

// How much the words of a message count, from any of the fields that peers write.
double weight_of(const JsonFields& fields) {
  for (const char* key : {"train_detail", "loss_mask"})
    if (fields.has(key))
      throw Error(ErrorCode::kUnsupported, fields.path(key), "parts of a message cannot be left out of the loss",
                  "leave out the whole message with \"weight\": 0, or take the field away");
  double weight = fields.number("weight", 0, kMaxWeight).value_or(1);
  for (const char* key : {"train", "training", "loss"}) {
    const Json* value = fields.find(key);
    if (value == nullptr) continue;
    if (value->is_boolean()) weight = value->get<bool>() ? weight : 0;
    else weight = fields.number(key, 0, kMaxWeight).value_or(1);
  }
  if (const auto scale = fields.number("loss_scale", 0, kMaxWeight)) weight *= *scale;
  return weight;
}

// Takes <think>…</think> from the beginning of a content.
std::string take_reasoning(std::string& content) {
  const size_t begin = content.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos || !std::string_view(content).substr(begin).starts_with(kThinkMark)) return {};
  const size_t end = content.find(kEndThinkMark, begin);
  if (end == std::string::npos) return {};
  const size_t words = begin + kThinkMark.size();
  std::string reasoning(stripped(std::string_view(content).substr(words, end - words)));
  const size_t rest = content.find_first_not_of(" \t\r\n", end + kEndThinkMark.size());
  content = rest == std::string::npos ? "" : content.substr(rest);
  return reasoning;
}

// The text of a content; `reasoning` gets that of its parts of the type "thinking", null where only text is expected.
std::string text_of_parts(const Json& content, const std::string& where, std::string* reasoning) {
  if (content.is_null()) return "";
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) refuse(where, fmt::format("expected a string or a list of parts, found {}", excerpt_of(content)));
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    const JsonFields part(content[i], fmt::format("{}[{}]", where, i));
    const std::string type = part.string("type", 64).value_or(part.has("text") ? "text" : "");
    if (type.empty()) refuse(part.path("type"), "expected parts with a type");
    if (type == "thinking" && reasoning != nullptr) {
      *reasoning += part.string("thinking").value_or("");
      continue;
    }
    if (type != "text" && type != "input_text" && type != "output_text")
      throw Error(ErrorCode::kUnsupported, part.path("type"), fmt::format("parts of type {} are not understood: these models read text only", type));
    const auto words = part.string("text");
    if (!words) refuse(part.path("text"), "expected a text");
    text += *words;
  }
  return text;
}

}  // namespace

bool is_message_key(std::string_view key) {
  for (const std::string_view known : {"role", "content", "tool_calls", "function_call", "reasoning_content", "reasoning", "thinking", "images", "weight",
                                       "train", "training", "loss", "loss_scale", "train_detail", "loss_mask", "tool_call_id", "name", "tool_name"})
    if (key == known) return true;
  return false;
}

std::string content_text(const OrderedJson& content, const std::string& where) { return text_of_parts(content, where, nullptr); }

OrderedJson read_message(const OrderedJson& message, const std::string& where) {
  const JsonFields fields(message, where);
  std::string role = fields.string("role").value_or("");
  if (role == "developer") role = "system";
  if (role == "function" || role == "ipython") role = "tool";
  if (!good_role(role)) refuse(fields.path("role"), "expected a role such as system, user, assistant or tool");
  const bool assistant = role == "assistant";
  Json result = {{"role", role}};
  std::string reasoning;
  std::string content = fields.has("content") ? text_of_parts(*fields.find("content"), fields.path("content"), &reasoning) : "";
  if (const Json* images = fields.array("images", 1024); images && !images->empty())
    throw Error(ErrorCode::kUnsupported, fields.path("images"), "these models read text only");
  for (const char* key : {"thinking", "reasoning", "reasoning_content"})
    if (const Json* value = fields.find(key); value && value->is_string()) reasoning = value->get<std::string>();
    else if (value && std::string_view(key) != "reasoning") fields.refuse(key, "a string");  // OpenRouter writes objects there
  if (assistant) {
    reasoning = stripped(reasoning);
    if (std::string inside = take_reasoning(content); reasoning.empty()) reasoning = std::move(inside);
  }
  result["content"] = std::move(content);
  Json calls = Json::array();
  if (const Json* found = fields.find("tool_calls")) calls = read_calls(*found, fields.path("tool_calls"));
  if (const Json* found = fields.find("function_call"); found && calls.empty()) calls.push_back(read_call(*found, fields.path("function_call")));
  if (!calls.empty()) {
    if (!assistant) refuse(fields.path("tool_calls"), fmt::format("calls belong to an assistant's message, found in one of {}", role));
    result["tool_calls"] = std::move(calls);
  }
  for (const char* key : {"tool_call_id", "name", "tool_name"})
    if (const auto value = fields.string(key, 256)) result[key] = *value;
  if (result.contains("tool_name") && !result.contains("name")) result["name"] = result["tool_name"];
  if (!reasoning.empty()) result["reasoning_content"] = std::move(reasoning);
  for (const auto& [key, value] : message.items())
    if (!value.is_null() && !is_message_key(key)) result[key] = value;
  if (assistant)
    if (const double weight = weight_of(fields); weight != 1) result["weight"] = weight;
  return result;
}

OrderedJson read_tools(const OrderedJson& tools, const std::string& where, size_t max) {
  if (tools.is_null() || tools.empty()) return nullptr;
  const Json list = tools.is_string() ? parse_json_text(tools.get_ref<const std::string&>()) : tools;
  if (!list.is_array() || list.size() > max) refuse(where, fmt::format("expected a list of at most {} tools, found {}", max, excerpt_of(tools)));
  Json result = Json::array();
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string place = fmt::format("{}[{}]", where, i);
    Json tool = list[i].is_string() ? object_of(list[i], place) : list[i];
    const JsonFields fields(tool, place);
    const bool flat = !fields.has("function") && fields.has("name");
    if (const auto type = fields.string("type", 64); type && *type != "function" && !(flat && *type == "object"))
      throw Error(ErrorCode::kUnsupported, fields.path("type"), fmt::format("tools of type {} are not understood", *type), "functions are");
    if (flat) {
      Json function = tool;
      function.erase("type");
      tool = Json{{"type", "function"}, {"function", std::move(function)}};
    }
    const JsonFields checked(tool, place);
    const Json* function = checked.find("function");
    if (!function) refuse(checked.path("function"), "expected an object");
    Json inner = object_of(*function, checked.path("function"));
    const JsonFields named(inner, checked.path("function"));
    if (named.string("name", 256).value_or("").empty()) refuse(named.path("name"), "expected the function's name");
    if (const Json* parameters = named.find("parameters"); parameters && parameters->is_string())
      inner["parameters"] = object_of(*parameters, named.path("parameters"));
    Json one = Json{{"type", "function"}, {"function", std::move(inner)}};
    for (const auto& [key, value] : tool.items())
      if (key != "type" && key != "function" && !value.is_null()) one[key] = value;
    result.push_back(std::move(one));
  }
  return result.empty() ? Json(nullptr) : result;
}

std::string inline_reasoning(const OrderedJson& message) {
  const std::string content = message.value("content", "");
  const std::string reasoning = message.value("reasoning_content", "");
  return reasoning.empty() ? content : fmt::format("{}\n{}\n{}\n\n{}", kThinkMark, reasoning, kEndThinkMark, content);
}

}  // namespace hone::data
