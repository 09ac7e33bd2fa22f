#include "data/edit/convert.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "data/chat_message.h"

namespace hone::data {
namespace {

std::string role_of(const Json& message) { return message["role"].get<std::string>(); }

// A key of a turn that only the messages format can hold. Reasoning goes in front of its answer.
std::string foreign_key(const Json& messages, bool sharegpt) {
  for (size_t i = 0; i < messages.size(); ++i)
    for (const auto& [key, value] : messages[i].items())
      if (key != "role" && key != "content" && key != "reasoning_content" && !(sharegpt && (key == "tool_calls" || key == "weight")))
        return fmt::format("turn {} has \"{}\"", i + 1, key);
  return {};
}

Json messages_of(const Example& example) {
  if (example.kind == Example::Kind::kChat) return example.messages;
  return Json::array({Json{{"role", "user"}, {"content", example.prompt}}, read_message(Json{{"role", "assistant"}, {"content", example.completion}}, "completion")});
}

std::string to_sharegpt(const Example& example, Json& row) {
  const Json messages = messages_of(example);
  if (std::string key = foreign_key(messages, /*sharegpt=*/true); !key.empty()) return key;
  Json turns = Json::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    const Json& message = messages[i];
    const std::string role = role_of(message);
    const bool calls_tools = message.contains("tool_calls");
    if (!calls_tools || message["content"] != "" || message.contains("reasoning_content")) {
      turns.push_back(Json{{"from", role == "user" ? "human" : role == "assistant" ? "gpt" : role == "tool" ? "observation" : role}, {"value", inline_reasoning(message)}});
      if (message.contains("weight")) turns.back()["weight"] = message["weight"];
    }
    if (!calls_tools) continue;
    if (i > 0 && role_of(messages[i - 1]) == "assistant") return fmt::format("turns {} and {} would become one", i, i + 1);
    Json calls = Json::array();
    for (const Json& call : message["tool_calls"]) {
      if (!call.is_object() || !call.contains("function")) return fmt::format("a tool call of turn {} has no \"function\"", i + 1);
      for (const auto& [key, value] : call.items())
        if (key != "function" && key != "type") return fmt::format("a tool call of turn {} has \"{}\"", i + 1, key);
      calls.push_back(call["function"]);
    }
    turns.push_back(Json{{"from", "function_call"}, {"value", (calls.size() == 1 ? calls[0] : calls).dump(-1, ' ', false, Json::error_handler_t::replace)}});
    if (message.contains("weight")) turns.back()["weight"] = message["weight"];
  }
  row["conversations"] = std::move(turns);
  if (!example.tools.is_null()) row["tools"] = example.tools;
  return {};
}

std::string to_alpaca(const Example& example, Json& row) {
  const Json messages = messages_of(example);
  if (!example.tools.is_null()) return "the row has tools";
  if (std::string key = foreign_key(messages, /*sharegpt=*/false); !key.empty()) return key;
  size_t at = 0;
  std::string system;
  if (role_of(messages[0]) == "system") {
    system = messages[at++]["content"].get<std::string>();
    if (is_blank(system)) return "its system message is blank";
  }
  for (size_t i = at; i < messages.size(); ++i)
    if (role_of(messages[i]) != ((i - at) % 2 == 0 ? "user" : "assistant")) return fmt::format("turn {} is not the {}'s, whose turn it is", i + 1, (i - at) % 2 == 0 ? "user" : "assistant");
  if ((messages.size() - at) % 2 != 0) return "it does not end with an answer";
  Json history = Json::array();
  for (; at + 2 < messages.size(); at += 2) history.push_back(Json::array({messages[at]["content"], inline_reasoning(messages[at + 1])}));
  if (!system.empty()) row["system"] = system;
  if (!history.empty()) row["history"] = std::move(history);
  row["instruction"] = messages[at]["content"];
  row["input"] = "";
  row["output"] = inline_reasoning(messages[at + 1]);
  return {};
}

// Prompt and completion as lists of turns: what is learned must be what follows the last turn of user or tool.
std::string to_split_chat(const Example& example, Json& row) {
  Json prompt = Json::array(), completion = example.messages;
  size_t last = completion.size();
  while (last > 0 && role_of(completion[last - 1]) == "assistant") --last;
  for (size_t i = 0; i < last; ++i) {
    Json message = completion[i];
    if (role_of(message) == "assistant" && message.value("weight", Json(1)) != 0) return fmt::format("turn {} is learned, and it is part of the prompt", i + 1);
    message.erase("weight");
    prompt.push_back(std::move(message));
  }
  completion.erase(completion.begin(), completion.begin() + static_cast<std::ptrdiff_t>(last));
  if (completion.empty()) return "it does not end with an answer";
  row["prompt"] = std::move(prompt);
  row["completion"] = std::move(completion);
  if (!example.tools.is_null()) row["tools"] = example.tools;
  return {};
}

// Text is learned from its first to its last token.
std::string untold_by_text(const Json& messages) {
  for (size_t i = 0; i < messages.size(); ++i)
    if (const double weight = messages[i].value("weight", 1.0); weight != 1)
      return fmt::format("turn {} has the weight {}, and text is learned as a whole", i + 1, weight);
  return {};
}

std::string lost_reasoning(const Json& messages, const std::string& text) {
  for (size_t i = 0; i < messages.size(); ++i)
    if (const std::string reasoning = messages[i].value("reasoning_content", ""); !reasoning.empty() && text.find(reasoning) == std::string::npos)
      return fmt::format("the chat template does not write the reasoning of turn {}", i + 1);
  return {};
}

std::string to_completion(const Example& example, Json& row) {
  const Json messages = messages_of(example);
  if (messages.size() != 2 || role_of(messages[0]) != "user") return fmt::format("the conversation has {} turns, a prompt and its completion are two", messages.size());
  if (!example.tools.is_null()) return "the row has tools";
  if (std::string key = foreign_key(messages, /*sharegpt=*/false); !key.empty()) return key;
  row["prompt"] = messages[0]["content"];
  row["completion"] = inline_reasoning(messages[1]);
  return {};
}

}  // namespace

std::string convert_row(const Example& example, const Json& source, const RowFormat& from, Format to, const ChatRenderer& render, Json& row) {
  row = Json::object();
  std::string reason;
  if (example.kind == Example::Kind::kText && to != Format::kText) return "plain text has no turns";
  if (to == Format::kMessages) {
    row["messages"] = messages_of(example);
    if (!example.tools.is_null()) row["tools"] = example.tools;
  } else if (to == Format::kShareGpt) {
    reason = to_sharegpt(example, row);
  } else if (to == Format::kAlpaca) {
    reason = to_alpaca(example, row);
  } else if (to == Format::kPromptCompletion) {
    // Rows that were lists of turns stay so: a prompt of text goes through no template.
    reason = from.format == Format::kPromptCompletion && example.kind == Example::Kind::kChat ? to_split_chat(example, row) : to_completion(example, row);
  } else if (example.kind == Example::Kind::kText) {
    row["text"] = example.text;
  } else if (example.kind == Example::Kind::kCompletion) {
    row["text"] = example.prompt + example.completion;
  } else if (render) {
    try {
      if (reason = untold_by_text(example.messages); reason.empty()) {
        row["text"] = render(example.messages, example.tools);
        reason = lost_reasoning(example.messages, row["text"].get_ref<const std::string&>());
      }
    } catch (const Error& error) {
      reason = (error.code() == ErrorCode::kUnsupported ? "" : "the chat template refuses it: ") + error.message();
    }
  } else {
    return "a chat becomes text through a chat template, and none is given";
  }
  std::set<std::string> taken;
  for (const std::string& canonical : canonical_columns(from.format)) taken.insert(from.column(canonical));
  for (const auto& [key, value] : source.items())
    if (!taken.contains(key) && !row.contains(key)) row[key] = value;
  return reason;
}

ConvertReport convert_rows(const Rows& rows, Format to, const ChatRenderer& render, BadRowLimit allowed, const std::string& output, const std::function<bool()>& stop) {
  ConvertReport report;
  Json row;
  ReadRow read;
  std::vector<std::string> columns;
  for (const std::string& column : canonical_columns(to))
    if (column != "role" && column != "content" && column != "from" && column != "value") columns.push_back(column);
  RowWriter writer(output, columns);
  for (const Dataset& file : rows.files()) {
    report.left_out_rows += file.report().problems.malformed();
    for (const Problem& problem : file.report().problems.first) report.left_out.push_back(problem);
  }
  for (uint32_t r = 0; r < rows.size(); ++r) {
    if (r % 1024 == 0 && stop && stop()) throw Error(ErrorCode::kInterrupted, output, "interrupted", "nothing was written");
    if (!rows.usable(r)) continue;
    rows.read(r, read);
    const Dataset& file = rows.files()[rows.file_of(r)];
    const std::string reason = convert_row(read.example, read.json, file.format(), to, render, row);
    if (reason.empty()) {
      writer.write(row);
      continue;
    }
    ++report.left_out_rows;
    const std::string where = rows.where(r);
    if (report.left_out.size() < ProblemTally::kKept) report.left_out.push_back({ProblemKind::kWrongType, file.report().path, std::stoull(where.substr(where.rfind(':') + 1)), reason});
  }
  report.written = writer.rows();
  if (report.left_out_rows > allowed.allowed(rows.size()) || report.written == 0) {
    std::string message = fmt::format("{} of {} rows cannot become {}, at most {} may be left out", report.left_out_rows, rows.size(), name(to), allowed.allowed(rows.size()));
    for (size_t i = 0; i < std::min<size_t>(report.left_out.size(), 5); ++i) message += "\n  " + report.left_out[i].text();
    throw Error(ErrorCode::kInvalidInput, rows.files().front().report().path, message, "choose a format that can hold them, or raise --max-bad-rows");
  }
  writer.finish();
  return report;
}

}  // namespace hone::data
