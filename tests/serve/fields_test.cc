// Reading requests: types, ranges, depth, durations, sampling options.
#include <gmock/gmock.h>

#include "base/error.h"
#include "serve/api/settings.h"
#include "serve/api/stream.h"
#include "serve/fake_exchange.h"

namespace hone::serve {
namespace {

template <class Call>
std::string refused(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput) << error.what();
    return error.where() + ": " + error.message();
  }
  return "";
}

TEST(Fields, ChecksTypesAndRanges) {
  const Json json = Json::parse(R"({"n": 5, "big": 18446744073709551615, "whole": 7.0, "half": 0.5, "text": "x", "none": null, "list": ["a", "b"], "yes": true})");
  const Fields fields(json, "options");
  EXPECT_EQ(fields.integer("n", 0, 10), 5);
  EXPECT_EQ(fields.integer("whole", 0, 10), 7);
  EXPECT_EQ(fields.integer("none", 0, 10), std::nullopt);
  EXPECT_EQ(fields.number("half", 0, 1), 0.5);
  EXPECT_EQ(fields.boolean("yes"), true);
  EXPECT_EQ(fields.strings("list", 2), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(fields.strings("text", 2), std::vector<std::string>{"x"});
  EXPECT_THAT(refused([&] { fields.integer("n", 6, 10); }), testing::HasSubstr("options.n: expected a whole number from 6 to 10, found 5"));
  for (const char* name : {"big", "half", "text", "list", "yes"}) EXPECT_NE(refused([&] { fields.integer(name, -100, 100); }), "") << name;
  for (const char* name : {"n", "text", "list"}) EXPECT_NE(refused([&] { fields.boolean(name); }), "") << name;
  EXPECT_NE(refused([&] { fields.strings("list", 1); }), "");
  EXPECT_NE(refused([&] { fields.number("half", 0.6, 1); }), "");
  EXPECT_NE(refused([&] { fields.object("list"); }), "");
}

TEST(Fields, ParsesBodiesOfBoundedDepth) {
  EXPECT_EQ(parse_body(R"({"b": 1, "a": "[[[["})").begin().key(), "b");
  const auto nested = [](size_t depth) { return R"({"x":)" + std::string(depth, '[') + std::string(depth, ']') + "}"; };
  EXPECT_NO_THROW(parse_body(nested(63)));
  EXPECT_THAT(refused([&] { parse_body(nested(64)); }), testing::HasSubstr("deeper than 64"));
  EXPECT_THAT(refused([&] { parse_body(std::string(1 << 20, '[')); }), testing::HasSubstr("deeper than 64"));
  std::string many = "{\"x\":[0";
  for (int i = 0; i < 3000000; ++i) many += ",0";
  EXPECT_THAT(refused([&] { parse_body(many + "]}"); }), testing::HasSubstr("more than"));
  EXPECT_NO_THROW(parse_body("{\"x\":\"" + std::string(5 << 20, ',') + "\"}"));
  for (const char* bad : {"", "  ", "{", "[]", "5", "{\"x\": 1e999}", "{\"x\": \"\xFF\"}", "{} {}"}) EXPECT_NE(refused([&] { parse_body(bad); }), "") << bad;
}

TEST(Fields, ReadsDurations) {
  const auto seconds = [](const Json& value) { return parse_duration(value, "keep_alive"); };
  EXPECT_DOUBLE_EQ(seconds("5m"), 300);
  EXPECT_DOUBLE_EQ(seconds("1h30m"), 5400);
  EXPECT_DOUBLE_EQ(seconds("1.5s"), 1.5);
  EXPECT_DOUBLE_EQ(seconds("250ms"), 0.25);
  EXPECT_DOUBLE_EQ(seconds(90), 90);
  EXPECT_DOUBLE_EQ(seconds("90"), 90);
  EXPECT_DOUBLE_EQ(seconds("0"), 0);
  EXPECT_DOUBLE_EQ(seconds(0), 0);
  for (const Json& forever : {Json(-1), Json("-1"), Json("-5m"), Json("99999999999h")}) EXPECT_LT(seconds(forever), 0) << forever;
  for (const Json& bad : {Json("m"), Json("5 m"), Json("5x"), Json("1m5"), Json(""), Json("nan"), Json("inf"), Json(true), Json::array()}) EXPECT_NE(refused([&] { seconds(bad); }), "") << bad;
}

TEST(Settings, OllamaOptionsOverTheModelsOwn) {
  const Settings settings = ollama_settings(Json::parse(R"({"temperature": 0.1, "stop": ["a"], "num_ctx": 64})"), Json::parse(R"({"temperature": 0.5, "num_predict": -2, "seed": 9})"));
  EXPECT_FLOAT_EQ(settings.generate.sampler.temperature, 0.5f);
  EXPECT_FLOAT_EQ(settings.generate.sampler.repeat_penalty, 1.1f);
  EXPECT_EQ(settings.generate.sampler.seed, 9u);
  EXPECT_EQ(settings.generate.stop, std::vector<std::string>{"a"});
  EXPECT_EQ(settings.max_tokens, -1);
  EXPECT_EQ(context_of(settings, 512), 64);
  EXPECT_EQ(room(settings, 60, 64), 4);
  EXPECT_EQ(room(settings, 70, 64), 0);
  EXPECT_NE(ollama_settings(nullptr, nullptr).generate.sampler.seed, ollama_settings(nullptr, nullptr).generate.sampler.seed);
}

TEST(Settings, OptionsThatOllamaPassesOver) {
  const Json options = Json::parse(R"({"mirostat": 2, "mirostat_tau": 5, "tfs_z": 0.5, "penalize_newline": false, "num_gpu": 99, "wings": [], "typical_p": 1, "low_vram": null})");
  ::testing::internal::CaptureStderr();
  ollama_settings(nullptr, options);
  ollama_settings(nullptr, options);
  const std::string said = ::testing::internal::GetCapturedStderr();
  for (const char* name : {"mirostat ", "tfs_z", "penalize_newline", "wings"}) {
    EXPECT_NE(said.find(name), std::string::npos) << name << " in " << said;
    EXPECT_EQ(said.find(name), said.rfind(name)) << "once: " << said;
  }
  for (const char* name : {"num_gpu", "mirostat_tau", "typical_p"}) EXPECT_EQ(said.find(name), std::string::npos) << said;
  EXPECT_THROW(ollama_settings(nullptr, Json{{"typical_p", 0.5}}), Error);
}

TEST(Fields, LinesHoldNoLineEnds) {
  const Json json = {{"a\u2028", "b\u2029\u0085\n\r\v\f\x1c\x1d\x1e\u2028"}, {"c", "\u2027\u202a\u0084"}};
  const std::string line = dump_line(json);
  for (const char* end : {"\u2028", "\u2029", "\u0085", "\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e"}) EXPECT_EQ(line.find(end), std::string::npos) << line;
  EXPECT_NE(line.find("\u2027"), std::string::npos);
  EXPECT_EQ(Json::parse(line), json);
  for (const Stream::Kind kind : {Stream::Kind::kLines, Stream::Kind::kEvents}) {
    const auto exchange = std::make_shared<FakeExchange>();
    Stream stream(exchange, kind);
    stream.send(json);
    stream.send("event", json);
    EXPECT_EQ(exchange->stream.find("\u2028"), std::string::npos) << exchange->stream;
  }
}

TEST(Settings, OpenAiDefaultsDoNotFilter) {
  const Json request = Json::parse(R"({"max_completion_tokens": 3, "stop": "x"})");
  const Settings settings = openai_settings(nullptr, Fields(request));
  EXPECT_FLOAT_EQ(settings.generate.sampler.temperature, 1);
  EXPECT_EQ(settings.generate.sampler.top_k, 0);
  EXPECT_FLOAT_EQ(settings.generate.sampler.top_p, 1);
  EXPECT_EQ(room(settings, 10, 512), 3);
}

}  // namespace
}  // namespace hone::serve
