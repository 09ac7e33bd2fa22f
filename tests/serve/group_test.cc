// Answers with tool calls, reasoning and log probabilities, in both dialects, whole and streamed.
#include <gtest/gtest.h>

#include "serve/ollama/answer.h"
#include "serve/fake_exchange.h"
#include "serve/openai/group.h"

namespace hone::serve {
namespace {

const text::Tokenizer& tokenizer() { return tiny_tokenizer(); }

infer::TokenEvent token(int32_t id, float logprob, bool of_prompt = false) {
  infer::TokenEvent event;
  event.id = id;
  event.of_prompt = of_prompt;
  event.logprob = logprob;
  event.top = {{id, logprob}, {2, -3.0f}};
  return event;
}

infer::Outcome outcome(int64_t prompt, int64_t answer) {
  infer::Outcome done;
  done.prompt_tokens = prompt;
  done.answer_tokens = answer;
  return done;
}

std::vector<Json> events(const std::string& stream) {
  std::vector<Json> list;
  for (size_t at = 0; (at = stream.find("data: {", at)) != std::string::npos; ++at) list.push_back(Json::parse(stream.substr(at + 6, stream.find("\n\n", at) - at - 6)));
  return list;
}

TEST(Group, EchoWithLogprobsOfThePrompt) {
  const auto exchange = std::make_shared<FakeExchange>();
  const auto group = std::make_shared<openai::Group>(exchange, openai::GroupShape{.id = "x", .model = "m", .chat = false, .logprobs = true, .echo = true, .echoed = {"ab"}}, tokenizer(), 1);
  const auto sink = group->sink(0, true);
  sink->on_token(token(0, 0, true), {});
  sink->on_token(token(1, -0.5f, true), {});
  sink->on_token(token(2, -INFINITY), {"", "c", {}});
  sink->on_end({}, outcome(2, 1));
  const Json choice = Json::parse(exchange->response.body)["choices"][0];
  EXPECT_EQ(choice["text"], "abc");
  EXPECT_EQ(choice["logprobs"]["tokens"], Json({"a", "b", "c"}));
  EXPECT_EQ(choice["logprobs"]["token_logprobs"], Json({nullptr, -0.5, -9999.0}));
  EXPECT_EQ(choice["logprobs"]["text_offset"], Json({0, 1, 2}));
  EXPECT_EQ(choice["logprobs"]["top_logprobs"][1], Json::parse(R"({"b": -0.5, "c": -3.0})"));
}

// A token that holds a part of a character stands where the character does.
TEST(Group, TextOffsetsCountCharacters) {
  text::GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  vocab.tokens = {"a", "Ã©", "æķ", "°", "<end>"};  // a, é, two bytes of 数, its third
  vocab.types = {1, 1, 1, 1, 3};
  vocab.eos = 4;
  const auto accents = text::Tokenizer::from_gguf(vocab, "test");
  const auto exchange = std::make_shared<FakeExchange>();
  const auto group = std::make_shared<openai::Group>(exchange, openai::GroupShape{.id = "x", .model = "m", .chat = false, .logprobs = true, .echo = true, .echoed = {"éa"}}, accents, 1);
  const auto sink = group->sink(0, true);
  for (const int32_t id : {1, 0}) sink->on_token({id, /*of_prompt=*/true, "", -1, {}}, {});
  for (const int32_t id : {2, 3, 1, 0}) sink->on_token({id, /*of_prompt=*/false, "", -1, {}}, {"", id == 3 ? "数" : id == 1 ? "é" : id == 0 ? "a" : "", {}});
  sink->on_end({}, outcome(2, 4));
  const Json choice = Json::parse(exchange->response.body)["choices"][0];
  EXPECT_EQ(choice["text"], "éa数éa");
  EXPECT_EQ(choice["logprobs"]["text_offset"], Json({0, 1, 2, 2, 3, 4}));
  EXPECT_EQ(choice["logprobs"]["token_logprobs"], Json({nullptr, -1, -1, -1, -1, -1}));
}

TEST(Group, StreamedToolCallsAndReasoning) {
  const auto exchange = std::make_shared<FakeExchange>();
  const auto group = std::make_shared<openai::Group>(exchange, openai::GroupShape{.id = "x", .model = "m", .chat = true, .stream = true, .include_usage = true, .logprobs = true, .echoed = {}}, tokenizer(), 2);
  const auto first = group->sink(0, true), second = group->sink(1, false);
  first->on_token(token(0, -1), {"why", "", {}});
  first->on_token(token(1, -1), {"", "", {{"f", {{"x", 1}}}}});
  second->on_token(token(1, -1), {"", "b", {}});
  first->on_end({"", "", {{"g", Json::object()}}}, outcome(3, 2));
  EXPECT_FALSE(exchange->ended);
  infer::Outcome cut = outcome(3, 1);
  cut.finish = infer::Finish::kLength;
  second->on_end({}, cut);
  EXPECT_TRUE(exchange->ended);
  EXPECT_TRUE(exchange->stream.ends_with("data: [DONE]\n\n"));
  std::string thinking;
  Json calls = Json::array();
  std::map<int, Json> finish;
  size_t logprobs = 0;
  const auto list = events(exchange->stream);
  for (const Json& event : list)
    for (const Json& choice : event["choices"]) {
      thinking += choice["delta"].value("reasoning_content", "");
      if (choice["delta"].contains("tool_calls")) calls.insert(calls.end(), choice["delta"]["tool_calls"].begin(), choice["delta"]["tool_calls"].end());
      if (!choice["finish_reason"].is_null()) finish[choice["index"].get<int>()] = choice["finish_reason"];
      if (!choice["logprobs"].is_null()) logprobs += choice["logprobs"]["content"].size();
    }
  EXPECT_EQ(thinking, "why");
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0]["function"]["arguments"], "{\"x\":1}");
  EXPECT_EQ(calls[1]["index"], 1);
  EXPECT_NE(calls[0]["id"], calls[1]["id"]);
  EXPECT_EQ(finish[0], "tool_calls");
  EXPECT_EQ(finish[1], "length");
  EXPECT_EQ(logprobs, 3u);
  EXPECT_EQ(list.back()["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(list.back()["usage"]["completion_tokens"], 3);
}

TEST(Group, OneFailureEndsAll) {
  for (const bool begun : {false, true}) {
    const auto exchange = std::make_shared<FakeExchange>();
    exchange->asked.path = "/v1/chat/completions";
    const auto group = std::make_shared<openai::Group>(exchange, openai::GroupShape{.id = "x", .model = "m", .stream = true, .echoed = {}}, tokenizer(), 2);
    const auto first = group->sink(0, true), second = group->sink(1, false);
    if (begun) first->on_token(token(0, 0), {"", "a", {}});
    infer::Outcome failed;
    failed.error = Error(ErrorCode::kBusy, "queue", "full");
    second->on_end({}, failed);
    EXPECT_TRUE(exchange->ended);
    EXPECT_FALSE(first->on_token(token(0, 0), {"", "a", {}}));
    first->on_end({}, outcome(1, 1));
    if (begun) EXPECT_EQ(events(exchange->stream).back()["error"]["type"], "overloaded_error");
    else EXPECT_EQ(exchange->response.status, 503);
  }
}

TEST(OllamaAnswer, ToolCallsAreObjects) {
  const auto exchange = std::make_shared<FakeExchange>();
  ollama::Sink sink(exchange, {.model = "m", .chat = true, .stream = false, .logprobs = true, .prompt = {}, .started = {}}, tokenizer());
  sink.on_token(token(0, -1), {"why", "a", {{"f", {{"x", 1}}}}});
  sink.on_end({"", "b", {}}, outcome(3, 1));
  const Json json = Json::parse(exchange->response.body);
  EXPECT_EQ(json["message"]["content"], "ab");
  EXPECT_EQ(json["message"]["thinking"], "why");
  EXPECT_EQ(json["message"]["tool_calls"][0]["function"]["arguments"]["x"], 1);
  EXPECT_EQ(json["logprobs"][0]["top_logprobs"].size(), 2u);
  EXPECT_FALSE(json.contains("context"));
}

TEST(OllamaAnswer, AFailureInTheMiddleIsALine) {
  const auto exchange = std::make_shared<FakeExchange>();
  ollama::Sink sink(exchange, {.model = "m", .stream = true, .prompt = {}, .started = {}}, tokenizer());
  EXPECT_TRUE(sink.on_token(token(0, 0), {"", "a", {}}));
  infer::Outcome cancelled;
  cancelled.finish = infer::Finish::kCancelled;
  sink.on_end({}, cancelled);
  EXPECT_TRUE(exchange->ended);
  EXPECT_NE(exchange->stream.find("\n{\"error\":"), std::string::npos);
  exchange->lost = true;
  EXPECT_FALSE(ollama::Sink(exchange, {.model = "m", .prompt = {}, .started = {}}, tokenizer()).on_token(token(0, 0), {"", "a", {}}));
}

}  // namespace
}  // namespace hone::serve
