// What a model writes, taken apart while it comes: reasoning, content, tool calls.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"

namespace hone::text {

struct ToolCall {
  std::string name;
  Json arguments = Json::object();
};

struct AnswerPart {
  std::string thinking, content;
  std::vector<ToolCall> calls;
  bool empty() const { return thinking.empty() && content.empty() && calls.empty(); }
};

struct SplitOptions {
  bool thinking = false;      // <think>…</think> is reasoning
  bool inside = false;        // the prompt has opened <think> already
  bool tools = false;         // tool calls are taken out of the content
  bool one_call = false;      // no more than one: what comes behind it is left out
  std::string lead = {};      // white space that the template writes in front of every answer: not the writer's
};

/// The tool calls of a text in one of the known syntaxes: Hermes and Qwen (<tool_call>{…}</tool_call>), DeepSeek V3, V3.1 and R1
/// (<｜tool▁calls▁begin｜>…), Llama 3 ({"name": …, "parameters": …} as the whole answer). Empty when it holds none.
std::vector<ToolCall> parse_tool_calls(std::string_view text);

/// Holds back what could still become a mark, so that no piece of one is ever given out as content. A tool call that turns out
/// malformed is given out as content. White space around reasoning, and between the content and a call, is the template's, not
/// the writer's: it is left out.
class AnswerSplitter {
 public:
  explicit AnswerSplitter(const SplitOptions& options) : options_(options), place_(options.inside ? Place::kThinking : Place::kStart) {}
  AnswerPart push(std::string_view text);
  /// What is left at the end of the answer.
  AnswerPart finish();

 private:
  enum class Place { kStart, kThinking, kAfterThinking, kContent, kCall };
  void go_on(AnswerPart& part, bool last);
  bool find_call(AnswerPart& part, bool last);

  const SplitOptions options_;
  Place place_;
  std::string pending_, call_end_, spaces_;  // spaces_: what stood between the content and a call
  bool led_ = false;      // options_.lead was looked for
  bool called_ = false;
  bool thought_ = false;  // words of reasoning were given out
};

}  // namespace hone::text
