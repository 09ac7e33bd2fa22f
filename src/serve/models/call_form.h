// Tool calls that a request asks for: which, and held to the form in which the model writes them.
#pragma once

#include "serve/models/pool.h"

namespace hone::serve {

/// What a request says about calls of its tools.
struct ToolChoice {
  bool required = false;           // the answer is a call (or several)
  std::vector<std::string> names;  // of these only; empty: of any
  bool parallel = true;            // several calls may come in one answer

  /// Of several tools, those that may be called. Throws Error{kInvalidInput} naming `where` for names without a tool, and for a
  /// call that is required where there are no tools.
  Json allowed(const Json& tools, const std::string& where) const;
};

/// OpenAI's tool_choice: "none" (then `tools` becomes null), "auto", "required", {"type": "function", …}, {"type": "allowed_tools", …}, in the
/// forms of chat completions and of responses; and parallel_tool_calls. Takes tools out that may not be called.
ToolChoice read_tool_choice(const Fields& fields, Json& tools);

/// Holds an answer to calls of these tools, arguments under their schemas, in the form that the model's chat template writes.
/// Throws Error{kUnsupported} where that form is none that answers are searched for, and what Schema::parse throws.
std::shared_ptr<infer::TokenFilter> call_filter(const Resident& model, const Json& tools, const ToolChoice& choice);

}  // namespace hone::serve
