// One message of a conversation and one tool, as rows and as requests write them: the one parser for both, so that what is trained on is
// what can be asked for.
#pragma once

#include <string>
#include <string_view>

#include "base/json_fields.h"

namespace hone::data {

/// The text of a string, of null, or of a list of {"type": "text" or "input_text" or "output_text", "text": …}. `where` names it in
/// errors. Throws Error{kInvalidInput}, Error{kUnsupported} for parts that are no text.
std::string content_text(const OrderedJson& content, const std::string& where);

/// Whether read_message reads this key itself; others are handed on.
bool is_message_key(std::string_view key);

/// Checks one message and returns it as templates read it:
///   role               as written; "developer" is system, "function" and "ipython" are tool
///   content            one string
///   tool_calls         [{"type": "function", "function": {"name", "arguments": object}, "id"?}]; arguments may be JSON text; flat
///                      {"name", "arguments"} and OpenAI's older `function_call` are understood
///   reasoning_content  from `reasoning_content`, `reasoning`, `thinking`, a part of the type "thinking", or <think>…</think> at the
///                      beginning of an assistant's content; white space around it is left out
///   weight             of an assistant's words in the loss, where it is not 1: from `weight` or `loss_scale` (numbers from 0), or false in
///                      `train`, `training` or `loss` (0). `train_detail` and `loss_mask` are refused
///   others             kept, where they are not null: templates may read them
/// Throws Error{kInvalidInput} or {kUnsupported} naming the field by its path under `where`.
OrderedJson read_message(const OrderedJson& message, const std::string& where);

/// Tools as templates read them: [{"type": "function", "function": {"name", …}}]. A tool may be JSON text, or flat ({"name",
/// "description", "parameters"}). Null for none. Throws as read_message does.
OrderedJson read_tools(const OrderedJson& tools, const std::string& where, size_t max);

/// The text of an assistant's message with its reasoning in front of its content, as models write it; the inverse of what read_message
/// takes apart. For forms that have no field for reasoning.
std::string inline_reasoning(const OrderedJson& message);

}  // namespace hone::data
