// Reasoning and tool calls, taken out of a stream cut at every possible place.
#include <gtest/gtest.h>

#include "base/json_fields.h"
#include "text/answer_splitter.h"

namespace hone::text {
namespace {

AnswerPart split(const SplitOptions& options, const std::string& text, size_t piece) {
  AnswerSplitter splitter(options);
  AnswerPart all;
  const auto take = [&](AnswerPart part) {
    all.thinking += part.thinking;
    all.content += part.content;
    for (auto& call : part.calls) all.calls.push_back(std::move(call));
  };
  for (size_t i = 0; i < text.size(); i += piece) take(splitter.push(text.substr(i, piece)));
  take(splitter.finish());
  return all;
}

struct Case {
  SplitOptions options;
  std::string text, thinking, content;
  std::vector<std::pair<std::string, std::string>> calls;
};

const SplitOptions kPlain{}, kThinks{.thinking = true}, kInside{.thinking = true, .inside = true}, kTools{.tools = true}, kBoth{.thinking = true, .tools = true};

TEST(AnswerSplitter, EveryCutGivesTheSameParts) {
  const std::vector<Case> cases = {
      {kPlain, "\n<think>x</think> <tool_call>", "", "\n<think>x</think> <tool_call>", {}},
      {kThinks, "<think>a < b</think>\n\nyes", "a < b", "yes", {}},
      {kThinks, "\n<think>a", "a", "", {}},
      {kThinks, "no <think>b</think>", "", "no <think>b</think>", {}},
      {kThinks, "<thin", "", "<thin", {}},
      {kThinks, "  ", "", "  ", {}},
      {kInside, "a</thin</think>b", "a</thin", "b", {}},
      {kInside, "a", "a", "", {}},
      {kTools, "1 < 2 <tool", "", "1 < 2 <tool", {}},
      {kTools, "so: <tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>\n<tool_call>{\"name\": \"g\", \"arguments\": \"{}\"}</tool_call>", "", "so:", {{"f", "{\"x\":1}"}, {"g", "{}"}}},
      {kTools, "<tool_call>[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {}}]</tool_call> done", "", "done", {{"f", "{}"}, {"g", "{}"}}},
      {kTools, "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}", "", "", {{"f", "{\"x\":1}"}}},
      {{.lead = " "}, "  yes", "", " yes", {}},
      {{.lead = " \n"}, " yes", "", " yes", {}},
      {kThinks, "<think>\n a\n\n</think>\n\nyes ", "a", "yes ", {}},
      {kInside, "\n\n</think>\n\nyes", "", "yes", {}},
      {kInside, "a\n</thin \n</think>b", "a\n</thin", "b", {}},
      {kInside, " \n", "", "", {}},
      {kTools, "see\n\n<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", "", "see", {{"f", "{}"}}},
      {kTools, "see\n\n<tool_call>broken</tool_call> x \n", "", "see\n\n<tool_call>broken</tool_call> x \n", {}},
      {kTools, "<tool_call>broken</tool_call> x", "", "<tool_call>broken</tool_call> x", {}},
      {kTools, "{\"name\": \"f\", \"parameters\": {\"x\": \"}\"}}", "", "", {{"f", "{\"x\":\"}\"}"}}},
      {kTools, "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": \"</tool_call> \\\"<tool_call>\"}}</tool_call><tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>", "", "",
       {{"f", "{\"x\":\"</tool_call> \\\"<tool_call>\"}"}, {"g", "{}"}}},
      {kTools, "<tool_call>bro\"ken</tool_call> x", "", "<tool_call>bro\"ken</tool_call> x", {}},
      {kTools, "<tool_call>bro\"ken\n</tool_call> x", "", "<tool_call>bro\"ken\n</tool_call> x", {}},
      {kTools, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"x\": \"<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜tool▁call▁begin｜>\"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "", "",
       {{"f", "{\"x\":\"<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜tool▁call▁begin｜>\"}"}}},
      {kTools, "{\"answer\": 42}", "", "{\"answer\": 42}", {}},
      {kTools, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"x\": 1}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
       "", "", {{"f", "{\"x\":1}"}, {"g", "{}"}}},
      {kTools, "ok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"x\": [1]}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "", "ok", {{"f", "{\"x\":[1]}"}}},
      {kBoth, "<think>I call f: <tool_call></think>\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", "I call f: <tool_call>", "", {{"f", "{}"}}},
  };
  for (const Case& c : cases)
    for (const size_t piece : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, c.text.size()}) {
      const AnswerPart part = split(c.options, c.text, piece);
      EXPECT_EQ(part.thinking, c.thinking) << c.text;
      EXPECT_EQ(part.content, c.content) << c.text << " by " << piece;
      ASSERT_EQ(part.calls.size(), c.calls.size()) << c.text << " by " << piece;
      for (size_t i = 0; i < c.calls.size(); ++i) {
        EXPECT_EQ(part.calls[i].name, c.calls[i].first);
        EXPECT_EQ(dump(part.calls[i].arguments), c.calls[i].second);
      }
    }
}

TEST(AnswerSplitter, NothingIsHeldBackLongerThanNeeded) {
  AnswerSplitter splitter(kBoth);
  EXPECT_EQ(splitter.push("<think>abc</t").thinking, "abc");
  EXPECT_EQ(splitter.push("x").thinking, "</tx");
  EXPECT_EQ(splitter.push("</think>hello <to").content, "hello");
  EXPECT_EQ(splitter.push("p>").content, " <top>");
}

TEST(AnswerSplitter, DeepJsonInACallIsContent) {
  const std::string deep = "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":" + std::string(100000, '[') + "</tool_call>";
  EXPECT_EQ(split(kTools, deep, deep.size()).content, deep);
}

}  // namespace
}  // namespace hone::text
