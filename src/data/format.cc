#include "data/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "data/chat_message.h"
#include "data/conversation.h"
#include "data/row_fields.h"

namespace hone::data {
namespace {

constexpr size_t kMaxRowTools = 1024;

const char* kRemedy =
    "set `format` (messages, alpaca, sharegpt, prompt_completion, text) and, where names differ, `columns`, for example "
    "{instruction: question, output: answer}";

// A column that must hold text. A null counts as absent.
std::optional<RowIssue> text_of(const Json& row, const std::string& key, bool required, std::string& text) {
  const auto found = row.find(key);
  if (found == row.end() || found->is_null()) {
    if (!required) return std::nullopt;
    return RowIssue{ProblemKind::kMissingKey, fmt::format("no \"{}\"", key)};
  }
  if (!found->is_string()) {
    return RowIssue{ProblemKind::kWrongType, fmt::format("\"{}\" must be text, found {}", key, found->type_name())};
  }
  text = found->get<std::string>();
  return std::nullopt;
}

// A column that must hold a list; in CSV and in some JSON data it is a list written as JSON text.
std::optional<RowIssue> list_of(const Json& row, const std::string& key, bool required, Json& list) {
  const auto found = row.find(key);
  const bool blank = found != row.end() && found->is_string() && is_blank(found->get_ref<const std::string&>());
  if (found == row.end() || found->is_null() || (blank && !required)) {
    if (!required) return std::nullopt;
    return RowIssue{ProblemKind::kMissingKey, fmt::format("no \"{}\"", key)};
  }
  list = found->is_string() ? parse_json_text(found->get_ref<const std::string&>()) : *found;
  if (!list.is_array()) {
    return RowIssue{ProblemKind::kWrongType, fmt::format("\"{}\" must be a list, found {}", key, found->type_name())};
  }
  return std::nullopt;
}

Json turn(const char* role, std::string content) { return Json{{"role", role}, {"content", std::move(content)}}; }

std::optional<RowIssue> read_alpaca(const RowFormat& format, const Json& row, Json& messages) {
  std::string instruction, input, output, system;
  Json history;
  if (auto issue = text_of(row, format.column("instruction"), true, instruction)) return issue;
  if (auto issue = text_of(row, format.column("output"), true, output)) return issue;
  if (auto issue = text_of(row, format.column("input"), false, input)) return issue;
  if (auto issue = text_of(row, format.column("system"), false, system)) return issue;
  if (auto issue = list_of(row, format.column("history"), false, history)) return issue;
  messages = Json::array();
  if (!is_blank(system)) messages.push_back(turn("system", std::move(system)));
  for (const Json& pair : history.is_array() ? history : Json::array()) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) {
      return RowIssue{ProblemKind::kWrongType, fmt::format("\"{}\" must be a list of [question, answer] texts",
                                                           format.column("history"))};
    }
    messages.push_back(turn("user", pair[0].get<std::string>()));
    messages.push_back(turn("assistant", pair[1].get<std::string>()));
  }
  if (!is_blank(input)) instruction = is_blank(instruction) ? std::move(input) : instruction + "\n" + input;
  messages.push_back(turn("user", std::move(instruction)));
  messages.push_back(turn("assistant", std::move(output)));
  for (Json& message : messages) message = read_message(message, "messages");  // takes reasoning out of answers
  return std::nullopt;
}

// A system column beside the turns: the first turn, unless that is it already.
std::optional<RowIssue> add_system(const RowFormat& format, const Json& row, Json& messages) {
  std::string system;
  if (auto issue = text_of(row, format.column("system"), false, system)) return issue;
  if (is_blank(system)) return std::nullopt;
  if (!messages.empty() && messages[0]["role"] == "system") {
    if (messages[0]["content"] == system) return std::nullopt;
    return RowIssue{ProblemKind::kRoleOrder, fmt::format("\"{}\" and the first turn are two system messages that differ", format.column("system"))};
  }
  messages.insert(messages.begin(), turn("system", std::move(system)));
  return std::nullopt;
}

// A prompt and its completion as lists of turns, or one of them as text. Of the prompt nothing is learned.
std::optional<RowIssue> read_split_chat(const RowFormat& format, const Json& row, Json& messages) {
  const auto part = [&](const char* column, const char* role, Json& turns) -> std::optional<RowIssue> {
    const std::string key = format.column(column);
    const auto found = row.find(key);
    if (found != row.end() && found->is_string() && !found->get_ref<const std::string&>().starts_with("[{")) {
      turns = Json::array({read_message(turn(role, found->get<std::string>()), key)});
      return std::nullopt;
    }
    Json list;
    if (auto issue = list_of(row, key, true, list)) return issue;
    if (auto issue = read_messages(list, format.column("role"), format.column("content"), turns, format.roles)) {
      issue->message = fmt::format("\"{}\": {}", key, issue->message);
      return issue;
    }
    return std::nullopt;
  };
  Json answer;
  if (auto issue = part("prompt", "user", messages)) return issue;
  if (auto issue = part("completion", "assistant", answer)) return issue;
  for (Json& message : messages)
    if (message["role"] == "assistant") message["weight"] = 0;
  for (Json& message : answer) messages.push_back(std::move(message));
  return std::nullopt;
}

// Whether a prompt or its completion is a list of turns; where both are texts, as in CSV, both must be such lists as JSON.
bool holds_turns(const Json& row, const RowFormat& format) {
  int lists = 0, texts = 0;
  for (const char* canonical : {"prompt", "completion"}) {
    const auto found = row.find(format.column(canonical));
    if (found == row.end()) continue;
    lists += found->is_array();
    if (!found->is_string() || !found->get_ref<const std::string&>().starts_with("[{")) continue;
    const Json turns = parse_json_text(found->get_ref<const std::string&>());
    texts += turns.is_array() && std::all_of(turns.begin(), turns.end(), [&](const Json& t) { return t.is_object() && t.contains(format.column("role")); });
  }
  return lists > 0 || texts == 2;
}

// `tools`, or OpenAI's older `functions`.
std::optional<RowIssue> read_row_tools(const Json& row, const RowFormat& format, Json& tools) {
  std::string column = format.column("tools");
  if (!row.contains(column) && row.contains("functions")) column = "functions";
  if (auto issue = list_of(row, column, false, tools)) return issue;
  try {
    tools = read_tools(tools, column, kMaxRowTools);
    return std::nullopt;
  } catch (const Error& error) {
    return RowIssue{ProblemKind::kWrongType, fmt::format("{}: {}", error.where(), error.message())};
  }
}

std::optional<RowIssue> read_chat(const RowFormat& format, const Json& row, Example& example) {
  example.kind = Example::Kind::kChat;
  if (auto issue = read_row_tools(row, format, example.tools)) return issue;
  if (format.format == Format::kAlpaca) {
    if (auto issue = read_alpaca(format, row, example.messages)) return issue;
  } else if (format.format == Format::kPromptCompletion) {
    if (auto issue = read_split_chat(format, row, example.messages)) return issue;
  } else {
    Json turns;
    const bool messages = format.format == Format::kMessages;
    if (auto issue = list_of(row, format.column(messages ? "messages" : "conversations"), true, turns)) return issue;
    if (messages) {
      if (auto issue = read_messages(turns, format.column("role"), format.column("content"), example.messages, format.roles)) return issue;
    } else {
      example.messages = Json::array();
      if (auto issue = read_sharegpt(turns, format.column("from"), format.column("value"), example.messages, format.roles)) return issue;
    }
  }
  if (format.format != Format::kAlpaca) {
    if (auto issue = add_system(format, row, example.messages)) return issue;
  }
  return settle_turns(example.messages, format.turns, example.notes);
}

// A key whose value is null is as good as absent; so is a blank text, which is how CSV writes it.
bool present(const Json& row, const std::string& key) {
  const auto found = row.find(key);
  return found != row.end() && !found->is_null() && !(found->is_string() && is_blank(found->get_ref<const std::string&>()));
}

// What one row's keys say, most specific first; kAuto when they say nothing.
RowFormat guess(const Json& row, const std::map<std::string, std::string>& columns) {
  RowFormat found{Format::kAuto, columns};
  const auto has = [&](const char* canonical) { return present(row, found.column(canonical)); };
  const auto first_turn = [&](const char* canonical, const char* key) {
    const auto turns = row.find(found.column(canonical));
    return turns != row.end() && turns->is_array() && !turns->empty() && (*turns)[0].is_object() &&
           (*turns)[0].contains(found.column(key));
  };
  if (has("messages")) {
    found.format = Format::kMessages;
  } else if (has("conversations")) {
    found.format = Format::kShareGpt;
    if (first_turn("conversations", "role") && !first_turn("conversations", "from")) {
      found.format = Format::kMessages;
      found.columns["messages"] = found.column("conversations");
      found.columns.erase("conversations");
    }
  } else if (has("instruction") && has("output")) {
    found.format = Format::kAlpaca;
  } else if (has("prompt") && has("completion")) {
    found.format = Format::kPromptCompletion;
  } else if (has("prompt") && present(row, "response") && !columns.contains("completion")) {
    found.format = Format::kPromptCompletion;
    found.columns["completion"] = "response";
  } else if (has("text")) {
    found.format = Format::kText;
  }
  return found;
}

std::string keys_of(const Json& row) {
  std::string keys;
  int listed = 0;
  for (const auto& item : row.items()) {
    if (item.value().is_null()) continue;
    if (++listed > 12) return keys + ", …";
    keys += (keys.empty() ? "" : ", ") + item.key().substr(0, 40);
  }
  while (valid_utf8(keys) != keys.size()) keys.resize(valid_utf8(keys));
  return keys.empty() ? "none" : keys;
}

}  // namespace

const std::string& RowFormat::column(const std::string& canonical) const {
  const auto mapped = columns.find(canonical);
  return mapped == columns.end() ? canonical : mapped->second;
}

std::optional<RowIssue> RowFormat::read(const Json& row, Example& example) const {
  example = {};
  if (auto issue = refused_field(row, *this)) return issue;
  if (format == Format::kText) {
    example.kind = Example::Kind::kText;
    if (auto issue = text_of(row, column("text"), true, example.text)) return issue;
    if (is_blank(example.text)) return RowIssue{ProblemKind::kEmptyText, "the text is empty"};
    return std::nullopt;
  }
  if (format == Format::kPromptCompletion && !holds_turns(row, *this)) {
    for (const char* chat_only : {"system", "tools"})
      if (present(row, column(chat_only)))
        return RowIssue{ProblemKind::kRefusedField, fmt::format("\"{}\": a prompt of text goes through no template; write it as turns: [{{\"role\": …, \"content\": …}}]", column(chat_only))};
    example.kind = Example::Kind::kCompletion;
    if (auto issue = text_of(row, column("prompt"), true, example.prompt)) return issue;
    if (auto issue = text_of(row, column("completion"), true, example.completion)) return issue;
    if (is_blank(example.prompt)) return RowIssue{ProblemKind::kEmptyPrompt, "the prompt is empty"};
    if (is_blank(example.completion)) return RowIssue{ProblemKind::kEmptyAnswer, "the completion is empty"};
    return std::nullopt;
  }
  return read_chat(*this, row, example);
}

const std::vector<std::string>& canonical_columns(Format format) {
  static const std::vector<std::string> messages = {"messages", "role", "content", "system", "tools"};
  static const std::vector<std::string> alpaca = {"instruction", "output", "input", "system", "history", "tools"};
  static const std::vector<std::string> sharegpt = {"conversations", "from", "value", "system", "tools"};
  static const std::vector<std::string> completion = {"prompt", "completion", "role", "content", "system", "tools"};
  static const std::vector<std::string> text = {"text"};
  static const std::vector<std::string> none;
  switch (format) {
    case Format::kMessages: return messages;
    case Format::kAlpaca: return alpaca;
    case Format::kShareGpt: return sharegpt;
    case Format::kPromptCompletion: return completion;
    case Format::kText: return text;
    case Format::kAuto: return none;
  }
  return none;
}

RowFormat settle_format(Format wanted, const std::map<std::string, std::string>& columns,
                        const std::vector<Json>& first_rows, std::string_view where) {
  const auto fail = [&](std::string message, std::string hint) {
    throw Error(ErrorCode::kInvalidInput, std::string(where), std::move(message), std::move(hint));
  };
  RowFormat settled{wanted, columns};
  if (first_rows.empty()) fail("no row of the file can be read", "the first problems are listed above");
  if (wanted == Format::kAuto) {
    for (const Json& row : first_rows)
      if (settled.format == Format::kAuto) settled = guess(row, columns);
    if (settled.format == Format::kAuto) {
      if (const auto refused = refused_field(first_rows.front(), settled)) fail("the format cannot be found: " + refused->message, kRemedy);
      fail("the format cannot be found from the keys of the first row: " + keys_of(first_rows.front()), kRemedy);
    }
    for (const Json& row : first_rows) {
      const RowFormat other = guess(row, columns);
      if (other.format != settled.format && other.format != Format::kAuto) {
        fail(fmt::format("the first rows disagree: one has the keys of {}, another those of {}", name(settled.format),
                         name(other.format)),
             "set `format`, or put the rows of each format in a file of their own");
      }
    }
  } else if (wanted == Format::kPromptCompletion && !columns.contains("completion") &&
             !present(first_rows.front(), "completion") && present(first_rows.front(), "response")) {
    settled.columns["completion"] = "response";
  } else if (wanted == Format::kMessages && !columns.contains("messages") && !present(first_rows.front(), "messages") &&
             present(first_rows.front(), "conversations")) {
    settled.columns["messages"] = "conversations";
  }
  const auto& known = canonical_columns(settled.format);
  for (const auto& [canonical, column] : settled.columns) {
    if (std::find(known.begin(), known.end(), canonical) == known.end()) {
      fail(fmt::format("the format {} has no column \"{}\"", name(settled.format), canonical),
           fmt::format("its columns: {}", fmt::join(known, ", ")));
    }
    if (column.empty()) fail(fmt::format("column \"{}\" is mapped to an empty name", canonical), kRemedy);
  }
  return settled;
}

}  // namespace hone::data
