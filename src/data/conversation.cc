#include "data/conversation.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/error.h"
#include "data/chat_message.h"

namespace hone::data {
namespace {

struct RoleName {
  std::string_view name, role;
};

// As OpenAI, Anthropic, Gemini, ShareGPT, FastChat, OpenAssistant, LLaMA-Factory and Axolotl name them.
constexpr std::array<RoleName, 22> kRoles = {{{"system", "system"},
                                              {"developer", "system"},
                                              {"user", "user"},
                                              {"human", "user"},
                                              {"prompter", "user"},
                                              {"assistant", "assistant"},
                                              {"gpt", "assistant"},
                                              {"chatgpt", "assistant"},
                                              {"bot", "assistant"},
                                              {"bing", "assistant"},
                                              {"bard", "assistant"},
                                              {"model", "assistant"},
                                              {"ai", "assistant"},
                                              {"tool", "tool"},
                                              {"function", "tool"},
                                              {"observation", "tool"},
                                              {"ipython", "tool"},
                                              {"tool_response", "tool"},
                                              {"function_response", "tool"},
                                              {"function_call", "function_call"},
                                              {"tool_call", "function_call"},
                                              {"function-call", "function_call"}}};

// Names from a file appear in messages shortened and without control characters.
std::string excerpt(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 40)) out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  while (valid_utf8(out) != out.size()) out.pop_back();
  return text.size() > 40 ? fmt::format("\"{}…\"", out) : fmt::format("\"{}\"", out);
}

std::string known_roles() {
  std::string list;
  for (const RoleName& row : kRoles) list += (list.empty() ? "" : ", ") + std::string(row.name);
  return list;
}

// The role of turn `i`, or what is wrong with it.
std::optional<RowIssue> read_role(const Json& turn, size_t i, const std::string& key, const RoleNames& roles, std::string& role) {
  if (!turn.is_object()) {
    return RowIssue{ProblemKind::kWrongType, fmt::format("turn {} must be an object, found {}", i + 1, turn.type_name())};
  }
  const auto found = turn.find(key);
  if (found == turn.end()) return RowIssue{ProblemKind::kMissingKey, fmt::format("turn {} has no \"{}\"", i + 1, key)};
  if (!found->is_string()) {
    return RowIssue{ProblemKind::kWrongType,
                    fmt::format("\"{}\" of turn {} must be a string, found {}", key, i + 1, found->type_name())};
  }
  const auto& name = found->get_ref<const std::string&>();
  auto known_role = role_named(name, roles);
  if (!known_role) {
    return RowIssue{ProblemKind::kUnknownRole,
                    fmt::format("turn {} has the role {}; say what it means with `roles`, for example {{user: customer}}; known: {}",
                                i + 1, excerpt(name), known_roles())};
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

// One turn by the parser that requests have too.
std::optional<RowIssue> read_turn(const Json& message, const std::string& where, Json& messages) {
  try {
    messages.push_back(read_message(message, where));
    return std::nullopt;
  } catch (const Error& error) {
    return RowIssue{ProblemKind::kWrongType, fmt::format("{}: {}", error.where(), error.message())};
  }
}

// `turn` with the names that messages have. Other keys stay.
Json renamed(const Json& turn, const std::string& role, const std::string& role_key, const std::string& content_key) {
  Json message{{"role", role}};
  if (const auto content = turn.find(content_key); content != turn.end()) message["content"] = *content;
  for (const auto& [key, value] : turn.items())
    if (key != role_key && key != content_key && !value.is_null()) message[key] = value;
  return message;
}

// Most turns: a role and a text, as which read_message would give them back.
bool add_plain_turn(const Json& turn, const std::string& role, const std::string& content_key, Json& messages) {
  if (turn.size() != 2 || role == "function_call") return false;
  const auto content = turn.find(content_key);
  if (content == turn.end() || !content->is_string()) return false;
  const auto& words = content->get_ref<const std::string&>();
  if (role == "assistant" && words.find("<think>") != std::string::npos) return false;
  Json message{{"role", role}};
  message["content"] = words;
  messages.push_back(std::move(message));
  return true;
}

bool speaks(const Json& message) {
  for (const char* key : {"content", "tool_calls", "function_call"})
    if (const auto found = message.find(key); found != message.end() && !found->is_null()) return true;
  return false;
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

// Appends a turn that is named as in messages; the calls of a "function_call" go to the assistant's turn that they follow, or are one of their own.
std::optional<RowIssue> add_turn(Json message, size_t i, const char* column, const std::string& content_key, Json& messages) {
  if (!speaks(message)) return RowIssue{ProblemKind::kMissingKey, fmt::format("turn {} has no \"{}\"", i + 1, content_key)};
  const std::string where = fmt::format("{}[{}]", column, i);
  if (message["role"] != "function_call") return read_turn(message, where, messages);
  auto calls = message["content"].is_string() ? tool_calls_of(message["content"].get<std::string>()) : std::nullopt;
  if (!calls) {
    return RowIssue{ProblemKind::kWrongType,
                    fmt::format("turn {} must be a function call: {{\"name\": …, \"arguments\": …}} as JSON", i + 1)};
  }
  message["role"] = "assistant";
  message["content"] = "";
  message["tool_calls"] = std::move(*calls);
  const bool follows = !messages.empty() && messages.back()["role"] == "assistant";
  if (auto issue = read_turn(message, where, messages)) return issue;
  if (!follows) return std::nullopt;
  const Json own = std::move(messages.back());
  messages.erase(messages.size() - 1);
  Json& all = messages.back()["tool_calls"];
  if (!all.is_array()) all = Json::array();
  for (const Json& call : own["tool_calls"]) all.push_back(call);
  return std::nullopt;
}

RowIssue out_of_order(size_t i, std::string_view what) {
  return {ProblemKind::kRoleOrder, fmt::format("turn {}: {}", i + 1, what)};
}

std::string_view role_at(const Json& messages, size_t i) { return messages[i]["role"].get_ref<const std::string&>(); }

void erase_turns(Json& messages, size_t from, size_t to) {
  messages.erase(messages.begin() + static_cast<std::ptrdiff_t>(from), messages.begin() + static_cast<std::ptrdiff_t>(to));
}

// Adds what the later turn says to the earlier one of the same role. A turn without a weight has the weight 1.
std::optional<RowIssue> merge(Json& earlier, Json& later, size_t i) {
  if (earlier.value("weight", 1.0) != later.value("weight", 1.0))
    return out_of_order(i, fmt::format("cannot be merged with the turn before it: its weight is {}, that one's {}",
                                       later.value("weight", 1.0), earlier.value("weight", 1.0)));
  for (auto& [key, value] : later.items()) {
    if (key == "role") continue;
    if (key == "content") {
      auto& words = earlier["content"].get_ref<std::string&>();
      const auto& more = value.get_ref<const std::string&>();
      if (!words.empty() && !more.empty()) words += "\n\n";
      words += more;
    } else if (key == "tool_calls" && earlier.contains(key)) {
      for (Json& call : value) earlier[key].push_back(std::move(call));
    } else if (!earlier.contains(key)) {
      earlier[key] = std::move(value);
    } else if (earlier[key] != value) {
      return out_of_order(i, fmt::format("cannot be merged with the turn before it: both have \"{}\"", key.substr(0, 40)));
    }
  }
  return std::nullopt;
}

std::optional<RowIssue> apply(Json& messages, const TurnRules& rules, TurnNotes& notes) {
  const auto dropped = [](std::string what) { return RowIssue{ProblemKind::kDroppedTurns, std::move(what)}; };
  const size_t begin = !messages.empty() && role_at(messages, 0) == "system" ? 1 : 0;
  size_t first = begin, last = messages.size();
  while (first < messages.size() && role_at(messages, first) != "user") ++first;
  if (first == messages.size()) return RowIssue{ProblemKind::kRoleOrder, "there is no user turn"};
  while (last > 0 && role_at(messages, last - 1) != "assistant") --last;
  if (last <= first) return RowIssue{ProblemKind::kRoleOrder, "no assistant turn follows the user's"};
  if (first > begin && role_at(messages, begin) == "assistant") {
    notes.leading_assistant = true;
    if (rules.leading_assistant == EdgeTurns::kDrop) return dropped("the assistant speaks before any user");
    if (rules.leading_assistant == EdgeTurns::kTrim) {
      erase_turns(messages, begin, first);
      last -= first - begin;
    }
  }
  if (last < messages.size()) {
    notes.trailing_turns = true;
    if (rules.trailing_turns == EdgeTurns::kDrop) return dropped("the conversation does not end with the assistant's answer");
    if (rules.trailing_turns == EdgeTurns::kTrim) erase_turns(messages, last, messages.size());
  }
  for (size_t i = 1; i < messages.size();) {
    if (role_at(messages, i) != role_at(messages, i - 1) || (role_at(messages, i) != "user" && role_at(messages, i) != "assistant")) {
      ++i;
      continue;
    }
    notes.repeated_turns = true;
    if (rules.repeated_turns == RepeatedTurns::kDrop) return dropped(fmt::format("turn {}: two {} turns in a row", i + 1, role_at(messages, i)));
    if (rules.repeated_turns == RepeatedTurns::kKeep) {
      ++i;
      continue;
    }
    if (auto issue = merge(messages[i - 1], messages[i], i)) return issue;
    erase_turns(messages, i, i + 1);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> role_named(std::string_view name, const RoleNames& more) {
  if (const auto own = more.find(std::string(name)); own != more.end()) return own->second;
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  for (const RoleName& row : kRoles) {
    if (row.name == lower) return std::string(row.role);
  }
  return std::nullopt;
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos; }

std::optional<RowIssue> read_messages(const Json& turns, const std::string& role_key, const std::string& content_key,
                                      Json& messages, const RoleNames& roles) {
  if (auto issue = not_a_list(turns)) return issue;
  messages = Json::array();
  for (size_t i = 0; i < turns.size(); ++i) {
    std::string role;
    if (auto issue = read_role(turns[i], i, role_key, roles, role)) return issue;
    if (add_plain_turn(turns[i], role, content_key, messages)) continue;
    if (auto issue = add_turn(renamed(turns[i], role, role_key, content_key), i, "messages", content_key, messages)) return issue;
  }
  return std::nullopt;
}

std::optional<RowIssue> read_sharegpt(const Json& turns, const std::string& from_key, const std::string& value_key,
                                      Json& messages, const RoleNames& roles) {
  if (auto issue = not_a_list(turns)) return issue;
  for (size_t i = 0; i < turns.size(); ++i) {
    std::string role;
    if (auto issue = read_role(turns[i], i, from_key, roles, role)) return issue;
    if (add_plain_turn(turns[i], role, value_key, messages)) continue;
    if (auto issue = add_turn(renamed(turns[i], role, from_key, value_key), i, "conversations", value_key, messages)) return issue;
  }
  return std::nullopt;
}

std::optional<RowIssue> settle_turns(Json& messages, const TurnRules& rules, TurnNotes& notes) {
  if (auto issue = apply(messages, rules, notes)) return issue;
  std::string_view previous;
  for (size_t i = 0; i < messages.size(); ++i) {
    const Json& message = messages[i];
    const std::string_view role = role_at(messages, i);
    const std::string_view content = message["content"].get_ref<const std::string&>();
    if (role == "system") {
      if (i != 0) return out_of_order(i, "a system turn must be the first");
    } else if (role == "user") {
      if (previous == "tool") return out_of_order(i, "a user turn follows a tool's answer; the assistant's is missing");
      if (is_blank(content)) {
        return RowIssue{ProblemKind::kEmptyPrompt, fmt::format("turn {}: the user says nothing", i + 1)};
      }
    } else if (role == "assistant") {
      if (is_blank(content) && !message.contains("tool_calls") && !message.contains("reasoning_content")) {
        return RowIssue{ProblemKind::kEmptyAnswer, fmt::format("turn {}: the assistant says nothing", i + 1)};
      }
      if (const size_t begin = content.find_first_not_of(" \t\r\n"); begin != std::string::npos && content.compare(begin, 7, "<think>") == 0)
        return RowIssue{ProblemKind::kEmptyAnswer, fmt::format("turn {}: <think> is never closed, so there is reasoning and no answer", i + 1)};
    } else if (previous != "assistant" && previous != "tool") {
      return out_of_order(i, "a tool's answer without an assistant turn before it");
    }
    previous = role;
  }
  return std::nullopt;
}

}  // namespace hone::data
