// Anthropic's dialect: blocks to messages and back, whole and streamed.
#include <gtest/gtest.h>

#include "base/error.h"
#include "serve/anthropic/answer.h"
#include "serve/anthropic/requests.h"
#include "serve/fake_exchange.h"

namespace hone::serve::anthropic {
namespace {

Json request(const char* messages, const char* more = "") { return Json::parse(fmt::format(R"({{"model": "m", "max_tokens": 5, "messages": {}{}}})", messages, more)); }

TEST(Messages, BlocksBecomeMessages) {
  const auto read = read_request(request(R"([
      {"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]},
      {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "x"}, {"type": "text", "text": "I call"},
                                        {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}]},
      {"role": "user", "content": [{"type": "text", "text": "and?"}, {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "2"}]}]},
      {"role": "assistant", "content": "So"}])",
      R"(, "system": [{"type": "text", "text": "be "}, {"type": "text", "text": "brief"}], "stream": true,
           "tools": [{"name": "add", "description": "adds", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}])"));
  EXPECT_TRUE(read.stream);
  EXPECT_EQ(read.conversation.messages, Json::parse(R"([
      {"role": "system", "content": "be brief"},
      {"role": "user", "content": "one two"},
      {"role": "assistant", "content": "I call", "reasoning_content": "hm", "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]},
      {"role": "tool", "content": "2", "tool_call_id": "t1", "name": "add"},
      {"role": "user", "content": "and?"},
      {"role": "assistant", "content": "So"}])"));
  EXPECT_EQ(read.conversation.tools[0]["function"]["parameters"]["properties"]["a"]["type"], "integer");
  EXPECT_EQ(read.conversation.think, false);
}

TEST(Messages, ThinkingAndToolChoice) {
  const char* hi = R"([{"role": "user", "content": "hi"}])";
  EXPECT_EQ(read_request(request(hi, R"(, "thinking": {"type": "enabled", "budget_tokens": 1024})")).conversation.think, true);
  EXPECT_EQ(read_request(request(hi, R"(, "thinking": {"type": "disabled"})")).conversation.think, false);
  const std::string tools = R"(, "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": ")";
  EXPECT_EQ(read_request(request(hi, (tools + R"(auto"})").c_str())).conversation.tools.size(), 1u);
  EXPECT_TRUE(read_request(request(hi, (tools + R"(none"})").c_str())).conversation.tools.is_null());
  const auto any = read_request(request(hi, (tools + R"(any", "disable_parallel_tool_use": true})").c_str()));
  EXPECT_TRUE(any.calls.required && !any.calls.parallel && any.calls.names.empty());
  EXPECT_EQ(read_request(request(hi, (tools + R"(tool", "name": "f"})").c_str())).calls.names, std::vector<std::string>{"f"});
  EXPECT_THROW(read_request(request(hi, (tools + R"(tool", "name": "g"})").c_str())), Error);
  EXPECT_THROW(read_request(request(hi, R"(, "tool_choice": {"type": "any"})")), Error) << "no tools";
}

TEST(Messages, WhatIsRefused) {
  for (const char* bad : {"[]", "5", R"([{"role": "system", "content": "x"}])", R"([{"role": "user"}])", R"([{"role": "user", "content": [{"type": "image"}]}])", R"([{"role": "user", "content": [{"text": "x"}]}])",
                          R"([{"role": "user", "content": [{"type": "text"}]}])", R"([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}])",
                          R"([{"role": "assistant", "content": [{"type": "tool_use", "name": "f"}]}])", R"([{"role": "user", "content": [{"type": "tool_use", "id": "i", "name": "f"}]}])"})
    EXPECT_THROW(read_request(request(bad)), Error) << bad;
  for (const char* more : {R"(, "thinking": {"type": "some"})", R"(, "thinking": {})", R"(, "thinking": {"type": "enabled", "budget_tokens": 0})", R"(, "tools": [{"input_schema": {}}])", R"(, "tools": [{"type": "web_search_1", "name": "x"}])",
                           R"(, "system": 5)", R"(, "stream": "yes")"})
    EXPECT_THROW(read_request(request(R"([{"role": "user", "content": "hi"}])", more)), Error) << more;
  const Json none = Json::parse(R"({"temperature": 0.5})"), some = Json::parse(R"({"max_tokens": 7, "stop_sequences": ["x"], "top_k": 3})");
  EXPECT_THROW(anthropic_settings(Json(), Fields(none)), Error) << "max_tokens is needed";
  const Settings settings = anthropic_settings(Json(), Fields(some));
  EXPECT_EQ(settings.max_tokens, 7);
  EXPECT_EQ(settings.generate.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(settings.generate.sampler.top_k, 3);
}

infer::TokenEvent token(int32_t id) {
  infer::TokenEvent event;
  event.id = id;
  return event;
}

infer::Outcome outcome(infer::Finish finish = infer::Finish::kStop) {
  infer::Outcome done;
  done.finish = finish;
  done.prompt_tokens = 11;
  done.answer_tokens = 3;
  return done;
}

// {event's name, data}
std::vector<std::pair<std::string, Json>> events(const std::string& stream) {
  std::vector<std::pair<std::string, Json>> list;
  for (size_t at = 0; (at = stream.find("event: ", at)) != std::string::npos; ++at) {
    const size_t line = stream.find('\n', at), end = stream.find("\n\n", at);
    list.emplace_back(stream.substr(at + 7, line - at - 7), Json::parse(stream.substr(line + 7, end - line - 7)));
  }
  return list;
}

TEST(Messages, AWholeAnswer) {
  const auto exchange = std::make_shared<FakeExchange>();
  Sink sink(exchange, {.id = "msg_1", .model = "m", .prompt_tokens = 11, .stops = {}}, tiny_tokenizer());
  sink.on_token(token(0), {"why", "", {}});
  sink.on_token(token(1), {"", "a", {}});
  sink.on_token(token(1), {"", "b", {{"add", {{"a", 1}}}}});
  sink.on_end({}, outcome());
  const Json json = Json::parse(exchange->response.body);
  EXPECT_EQ(json["type"], "message");
  EXPECT_EQ(json["content"][0], Json::parse(R"({"type": "thinking", "thinking": "why", "signature": ""})"));
  EXPECT_EQ(json["content"][1], Json::parse(R"({"type": "text", "text": "ab"})"));
  EXPECT_EQ(json["content"][2]["input"], Json::parse(R"({"a": 1})"));
  EXPECT_TRUE(json["content"][2]["id"].get<std::string>().starts_with("toolu_"));
  EXPECT_EQ(json["stop_reason"], "tool_use");
  EXPECT_EQ(json["usage"], Json::parse(R"({"input_tokens": 11, "output_tokens": 3})"));
}

TEST(Messages, HowAnAnswerEnds) {
  const auto ending = [](std::vector<std::string> stops, infer::Finish finish) {
    const auto exchange = std::make_shared<FakeExchange>();
    Sink sink(exchange, {.id = "msg_1", .model = "m", .stops = std::move(stops)}, tiny_tokenizer());
    for (const int32_t id : {0, 1, 2}) sink.on_token(token(id), {"", "", {}});  // "abc"
    sink.on_end({}, outcome(finish));
    const Json json = Json::parse(exchange->response.body);
    return std::pair(json["stop_reason"].get<std::string>(), json["stop_sequence"]);
  };
  EXPECT_EQ(ending({}, infer::Finish::kStop), std::pair(std::string("end_turn"), Json()));
  EXPECT_EQ(ending({"x"}, infer::Finish::kStop), std::pair(std::string("end_turn"), Json()));
  EXPECT_EQ(ending({"c", "bc"}, infer::Finish::kStop), std::pair(std::string("stop_sequence"), Json("bc"))) << "the first one that comes";
  EXPECT_EQ(ending({"bc"}, infer::Finish::kLength), std::pair(std::string("max_tokens"), Json()));
}

TEST(Messages, AStreamedAnswer) {
  const auto exchange = std::make_shared<FakeExchange>();
  Sink sink(exchange, {.id = "msg_1", .model = "m", .stream = true, .prompt_tokens = 11, .stops = {}}, tiny_tokenizer());
  sink.on_token(token(0), {"why", "", {}});
  sink.on_token(token(1), {"", "a", {}});
  sink.on_token(token(1), {"", "b", {}});
  sink.on_end({"", "c", {{"add", {{"a", 1}}}}}, outcome());
  EXPECT_TRUE(exchange->ended);
  const auto list = events(exchange->stream);
  std::vector<std::string> names;
  for (const auto& [name, data] : list) {
    EXPECT_EQ(data["type"], name);
    names.push_back(name);
  }
  const std::string start = "content_block_start", delta = "content_block_delta", stop = "content_block_stop";
  EXPECT_EQ(names, (std::vector<std::string>{"message_start", start, delta, delta, stop, start, delta, delta, delta, stop, start, delta, stop, "message_delta", "message_stop"}));
  EXPECT_EQ(list[0].second["message"]["usage"]["input_tokens"], 11);
  EXPECT_EQ(list[2].second["delta"], Json::parse(R"({"type": "thinking_delta", "thinking": "why"})"));
  EXPECT_EQ(list[5].second["content_block"], Json::parse(R"({"type": "text", "text": ""})"));
  EXPECT_EQ(list[5].second["index"], 1);
  EXPECT_EQ(list[8].second["delta"]["text"], "c");
  EXPECT_EQ(list[10].second["content_block"]["input"], Json::object());
  EXPECT_EQ(list[11].second["delta"], Json::parse(R"({"type": "input_json_delta", "partial_json": "{\"a\":1}"})"));
  EXPECT_EQ(list[13].second["delta"]["stop_reason"], "tool_use");
  EXPECT_EQ(list[13].second["usage"]["output_tokens"], 3);
}

TEST(Messages, HiddenThinkingAndErrors) {
  const auto exchange = std::make_shared<FakeExchange>();
  exchange->asked.path = "/v1/messages";
  Sink hidden(exchange, {.id = "msg_1", .model = "m", .stream = true, .hide_thinking = true, .stops = {}}, tiny_tokenizer());
  hidden.on_token(token(0), {"why", "a", {}});
  infer::Outcome failed = outcome();
  failed.error = Error(ErrorCode::kInternal, "engine", "broke");
  hidden.on_end({}, failed);
  const auto list = events(exchange->stream);
  EXPECT_EQ(list.size(), 4u) << exchange->stream;
  EXPECT_EQ(list[1].second["content_block"]["type"], "text");
  EXPECT_EQ(list[3].first, "error");
  EXPECT_EQ(list[3].second["error"]["type"], "api_error");
  const auto other = std::make_shared<FakeExchange>();
  other->asked.path = "/v1/messages";
  Sink early(other, {.id = "msg_1", .model = "m", .stream = true, .stops = {}}, tiny_tokenizer());
  early.on_end({}, failed);
  EXPECT_EQ(other->response.status, 500);
  EXPECT_EQ(Json::parse(other->response.body)["type"], "error");
}

}  // namespace
}  // namespace hone::serve::anthropic
