// What a model wrote, taken apart in pieces of several sizes: nothing of it is lost, whatever a piece's size.
#include "base/json_fields.h"
#include "fuzz/target.h"
#include "text/answer_splitter.h"

namespace hone::fuzz {
namespace {

struct Whole {
  std::string thinking, content;
  size_t calls = 0;
};

Whole split(std::string_view text, size_t piece, const text::SplitOptions& options) {
  text::AnswerSplitter splitter(options);
  Whole whole;
  const auto add = [&](const text::AnswerPart& part) {
    whole.thinking += part.thinking;
    whole.content += part.content;
    whole.calls += part.calls.size();
    for (const text::ToolCall& call : part.calls) dump(call.arguments);
  };
  for (size_t at = 0; at < text.size(); at += piece) add(splitter.push(text.substr(at, piece)));
  add(splitter.finish());
  return whole;
}

void run_tool_calls(const uint8_t* data, size_t size) {
  const std::string_view text = text_of(data, std::min<size_t>(size, 16384));
  text::parse_tool_calls(text);
  for (const bool inside : {false, true}) {
    const text::SplitOptions options{.thinking = true, .inside = inside, .tools = true};
    const Whole at_once = split(text, std::max<size_t>(text.size(), 1), options), by_bytes = split(text, 1, options);
    hold(at_once.calls == by_bytes.calls, "tool calls do not depend on the pieces of a text");
    const Whole plain = split(text, 7, {.thinking = false, .inside = false, .tools = false});
    hold(plain.content == text, "a text that is not taken apart stays itself");
  }
}

const Registered registered_tool_calls({"tool_calls", run_tool_calls, 1000,
                             {"<think>", "</think>", "<tool_call>", "</tool_call>", "{\"name\":\"f\",\"arguments\":{}}", "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "function<｜tool▁sep｜>f\n```json\n{}\n```",
                              "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>", "\n", "<", "{", "}", "\""},
                             {}});

}  // namespace
}  // namespace hone::fuzz
