// Conversations: role names, contents and the order of turns.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "data/config.h"
#include "data/row_json.h"

namespace hone::data {

/// Names of roles in a file beyond those that are known anyway → system, user, assistant, tool or function_call.
using RoleNames = std::map<std::string, std::string>;

/// The role that a name means in any case of its letters: "human", "User" and "prompter" are the user … (docs/data.md).
/// nullopt for an unknown one.
std::optional<std::string> role_named(std::string_view name, const RoleNames& more = {});

/// `turns` in the messages format → `messages`. A content of text parts becomes one string; other keys of a turn (tool_calls,
/// name, reasoning_content …) are kept, but for null ones. A turn of the role function_call becomes an assistant's tool calls.
std::optional<RowIssue> read_messages(const Json& turns, const std::string& role_key, const std::string& content_key,
                                      Json& messages, const RoleNames& roles = {});

/// `turns` in the sharegpt format, appended to `messages` (which may already hold a system turn). Function calls in a row,
/// and those behind the assistant's words, are one turn: parallel calls.
std::optional<RowIssue> read_sharegpt(const Json& turns, const std::string& from_key, const std::string& value_key,
                                      Json& messages, const RoleNames& roles = {});

/// Which of the rules changed or found something.
struct TurnNotes {
  bool leading_assistant = false, trailing_turns = false, repeated_turns = false;
};

/// Applies `rules`, then checks order and content of the whole conversation: an optional system turn first, at least one
/// user turn; tool turns follow an assistant or another tool turn and lead to an assistant; an assistant's turn at the end
/// (unless trailing turns are kept); no user turn is empty, and no assistant turn without tool calls.
std::optional<RowIssue> settle_turns(Json& messages, const TurnRules& rules, TurnNotes& notes);

/// Whether `text` is empty or white space only.
bool is_blank(std::string_view text);

}  // namespace hone::data
