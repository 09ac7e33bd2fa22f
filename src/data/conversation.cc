#include "data/conversation.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace hone::data {
namespace {

struct RoleName {
  std::string_view name, role;
};

constexpr std::array<RoleName, 7> kMessageRoles = {{{"system", "system"},
                                                    {"developer", "system"},
                                                    {"user", "user"},
                                                    {"assistant", "assistant"},
                                                    {"tool", "tool"},
                                                    {"function", "tool"},
                                                    {"ipython", "tool"}}};
constexpr std::array<RoleName, 10> kShareGptRoles = {{{"system", "system"},
                                                      {"human", "user"},
                                                      {"user", "user"},
                                                      {"gpt", "assistant"},
                                                      {"assistant", "assistant"},
                                                      {"model", "assistant"},
                                                      {"function_call", "function_call"},
                                                      {"function", "tool"},
                                                      {"observation", "tool"},
                                                      {"tool", "tool"}}};

// Names from a file appear in messages shortened and without control characters.
std::string excerpt(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 40)) out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  while (valid_utf8(out) != out.size()) out.pop_back();
  return text.size() > 40 ? fmt::format("\"{}…\"", out) : fmt::format("\"{}\"", out);
}

template <class Roles>
std::optional<std::string> role_of(const Roles& roles, std::string_view name) {
  for (const RoleName& row : roles) {
    if (row.name == name) return std::string(row.role);
  }
  return std::nullopt;
}

template <class Roles>
std::string known(const Roles& roles) {
  std::string list;
  for (const RoleName& row : roles) list += (list.empty() ? "" : ", ") + std::string(row.name);
  return list;
}

// The role of turn `i`, or what is wrong with it.
template <class Roles>
std::optional<RowIssue> read_role(const Json& turn, size_t i, const std::string& key, const Roles& roles, std::string& role) {
  if (!turn.is_object()) {
    return RowIssue{ProblemKind::kWrongType, fmt::format("turn {} must be an object, found {}", i + 1, turn.type_name())};
  }
  const auto found = turn.find(key);
  if (found == turn.end()) return RowIssue{ProblemKind::kMissingKey, fmt::format("turn {} has no \"{}\"", i + 1, key)};
  if (!found->is_string()) {
    return RowIssue{ProblemKind::kWrongType,
                    fmt::format("\"{}\" of turn {} must be a string, found {}", key, i + 1, found->type_name())};
  }
  const auto& name = found->template get_ref<const std::string&>();
  auto known_role = role_of(roles, name);
  if (!known_role) {
    return RowIssue{ProblemKind::kUnknownRole,
                    fmt::format("turn {} has the role {}; known: {}", i + 1, excerpt(name), known(roles))};
  }
  role = std::move(*known_role);
  return std::nullopt;
}

std::optional<RowIssue> not_a_list(const Json& turns) {
  if (!turns.is_array()) {
    return RowIssue{ProblemKind::kWrongType, fmt::format("the turns must be a list, found {}", turns.type_name())};
  }
  if (turns.empty()) return RowIssue{ProblemKind::kEmptyChat, "the conversation has no turns"};
  return std::nullopt;
}

// A content that is text, null, or a list of {"type": "text", "text": …}.
std::optional<RowIssue> read_content(const Json& turn, size_t i, const std::string& key, std::string& text) {
  const auto content = turn.find(key);
  if (content == turn.end() || content->is_null()) {
    if (turn.contains("tool_calls")) return std::nullopt;
    return RowIssue{ProblemKind::kMissingKey, fmt::format("turn {} has no \"{}\"", i + 1, key)};
  }
  if (content->is_string()) {
    text = content->get<std::string>();
    return std::nullopt;
  }
  if (content->is_array()) {
    for (const Json& part : *content) {
      const auto words = part.is_object() ? part.find("text") : part.end();
      if (!part.is_object() || words == part.end() || !words->is_string()) {
        return RowIssue{ProblemKind::kWrongType, fmt::format("turn {} has a part that is not text", i + 1)};
      }
      text += words->get_ref<const std::string&>();
    }
    return std::nullopt;
  }
  return RowIssue{ProblemKind::kWrongType,
                  fmt::format("\"{}\" of turn {} must be text, found {}", key, i + 1, content->type_name())};
}

// {"name", "arguments"}, or a list of them, as the messages format writes tool calls.
std::optional<Json> tool_calls_of(const std::string& text) {
  Json value = parse_json_text(text);
  if (value.is_object()) value = Json::array({std::move(value)});
  if (!value.is_array() || value.empty()) return std::nullopt;
  Json calls = Json::array();
  for (Json& call : value) {
    if (!call.is_object() || !call.contains("name") || !call["name"].is_string()) return std::nullopt;
    calls.push_back(Json{{"type", "function"}, {"function", std::move(call)}});
  }
  return calls;
}

}  // namespace

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos; }

std::optional<RowIssue> read_messages(const Json& turns, const std::string& role_key, const std::string& content_key,
                                      Json& messages) {
  if (auto issue = not_a_list(turns)) return issue;
  messages = Json::array();
  for (size_t i = 0; i < turns.size(); ++i) {
    const Json& turn = turns[i];
    std::string role, content;
    if (auto issue = read_role(turn, i, role_key, kMessageRoles, role)) return issue;
    if (auto issue = read_content(turn, i, content_key, content)) return issue;
    Json message{{"role", role}, {"content", std::move(content)}};
    for (const auto& [key, value] : turn.items()) {
      if (key != role_key && key != content_key) message[key] = value;
    }
    if (message.contains("tool_calls")) {
      Json& calls = message["tool_calls"];
      if (calls.is_null() || (calls.is_array() && calls.empty())) {
        message.erase("tool_calls");
      } else if (!calls.is_array() || role != "assistant") {
        return RowIssue{ProblemKind::kWrongType,
                        fmt::format("\"tool_calls\" of turn {} must be a list, in an assistant turn", i + 1)};
      }
    }
    messages.push_back(std::move(message));
  }
  return std::nullopt;
}

std::optional<RowIssue> read_sharegpt(const Json& turns, const std::string& from_key, const std::string& value_key,
                                      Json& messages) {
  if (auto issue = not_a_list(turns)) return issue;
  for (size_t i = 0; i < turns.size(); ++i) {
    std::string role, content;
    if (auto issue = read_role(turns[i], i, from_key, kShareGptRoles, role)) return issue;
    if (auto issue = read_content(turns[i], i, value_key, content)) return issue;
    if (role == "function_call") {
      auto calls = tool_calls_of(content);
      if (!calls) {
        return RowIssue{ProblemKind::kWrongType,
                        fmt::format("turn {} must be a function call: {{\"name\": …, \"arguments\": …}} as JSON", i + 1)};
      }
      messages.push_back(Json{{"role", "assistant"}, {"content", ""}, {"tool_calls", std::move(*calls)}});
    } else {
      messages.push_back(Json{{"role", role}, {"content", std::move(content)}});
    }
  }
  return std::nullopt;
}

std::optional<RowIssue> check_turns(const Json& messages) {
  const auto order = [](size_t i, const char* what) {
    return RowIssue{ProblemKind::kRoleOrder, fmt::format("turn {}: {}", i + 1, what)};
  };
  std::string_view previous;
  for (size_t i = 0; i < messages.size(); ++i) {
    const Json& message = messages[i];
    const std::string_view role = message["role"].get_ref<const std::string&>();
    const std::string_view content = message["content"].get_ref<const std::string&>();
    if (role == "system") {
      if (i != 0) return order(i, "a system turn must be the first");
    } else if (role == "user") {
      if (previous == "user") return order(i, "two user turns in a row");
      if (previous == "tool") return order(i, "a user turn follows a tool's answer; the assistant's is missing");
      if (is_blank(content)) {
        return RowIssue{ProblemKind::kEmptyPrompt, fmt::format("turn {}: the user says nothing", i + 1)};
      }
    } else if (role == "assistant") {
      if (previous == "assistant") return order(i, "two assistant turns in a row");
      if (previous != "user" && previous != "tool") return order(i, "the assistant speaks before any user");
      if (is_blank(content) && !message.contains("tool_calls")) {
        return RowIssue{ProblemKind::kEmptyAnswer, fmt::format("turn {}: the assistant says nothing", i + 1)};
      }
    } else if (previous != "assistant" && previous != "tool") {
      return order(i, "a tool's answer without an assistant turn before it");
    }
    previous = role;
  }
  if (previous != "assistant") {
    return order(messages.size() - 1, "the conversation must end with the assistant's answer");
  }
  return std::nullopt;
}

}  // namespace hone::data
