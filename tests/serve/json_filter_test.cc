// Documents that follow a schema are read to their end, others are refused at their first wrong byte; a filter lets a blind writer
// produce valid JSON only.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "serve/models/json_filter.h"

namespace hone::serve {
namespace {

// How many bytes are accepted, and whether the document is complete after them.
std::pair<size_t, bool> read(const Schema& schema, const std::string& text) {
  JsonReader reader(schema.root());
  for (size_t i = 0; i < text.size(); ++i)
    if (!reader.push(static_cast<unsigned char>(text[i]))) return {i, false};
  return {text.size(), reader.complete()};
}

bool whole(const Schema& schema, const std::string& text) { return read(schema, text) == std::pair(text.size(), true); }

TEST(JsonReader, AnyObject) {
  const auto schema = Schema::any_object();
  for (const char* good : {"{}", " { } ", R"({"a": [1, -2.5e+3, 0.1, true, null, "x\"\u00e9", {"b": {}}, []]})", R"({"a":1,"b":"\\"})"})
    EXPECT_EQ(read(*schema, std::string(good).substr(0, std::string(good).find_last_of('}') + 1)).second, true) << good;
  for (const char* bad : {"[", "x", "{,", "{\"a\",", "{\"a\":}", "{\"a\":1,}", "{\"a\":01", "{\"a\":+", "{\"a\":1.}", "{\"a\":tru ", "{\"a\":\"\n", "{\"a\":\"\\x", "{\"a\":\"\\u00g", "{}x", "{\"a\":[1,]", "{\"a\":-}", "{\"a\":1e100"})
    EXPECT_EQ(read(*schema, bad).first, std::string(bad).size() - 1) << bad;
  EXPECT_LT(read(*schema, "{" + std::string(100, ' ')).first, 40u);
  EXPECT_FALSE(whole(*schema, "{\"a\":1"));
  std::string deep = "{\"a\":";
  EXPECT_LT(read(*schema, deep + std::string(100, '[')).first, 80u);
}

TEST(JsonReader, FollowsASchema) {
  const auto schema = Schema::parse(Json::parse(R"({
    "type": "object", "required": ["name", "kind"], "additionalProperties": false,
    "properties": {
      "name": {"type": "string", "description": "who"},
      "kind": {"enum": ["a", "ab", 5, null]},
      "size": {"type": "integer"},
      "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
      "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}, {"type": "number"}]}
    }})"), "format");
  for (const char* good : {R"({"name":"x","kind":"a"})", R"({"kind":"ab","name":""})", R"({"kind":5,"name":"x","size":-12})", R"({"name":"x","kind":null,"tags":["p","q"]})",
                           R"({"name":"x","kind":"a","next":{"name":"y","kind":5,"next":null}})", R"({"name":"x","kind":"a","next":1.5})"})
    EXPECT_TRUE(whole(*schema, good)) << good;
  for (const char* bad : {R"({})", R"({"name":"x"})", R"({"name":5)", R"({"o)", R"({"kind":"b)", R"({"kind":6)", R"({"name":"x","na)", R"({"size":1.)", R"({"tags":[])", R"({"tags":["p","q",)", R"({"next":t)", R"({"next":{"size":1})"})
    EXPECT_EQ(read(*schema, bad).first, std::string(bad).size() - 1) << bad;
}

TEST(JsonReader, ChoicesMayLeadBackToThemselves) {
  const auto schema = Schema::parse(Json::parse(R"({"anyOf":[{"$ref":"#/$defs/a"},{"type":"null"}],"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}]},"b":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"boolean"}]}}})"), "format");
  EXPECT_TRUE(whole(*schema, "null"));
  EXPECT_TRUE(whole(*schema, "true"));
  EXPECT_EQ(read(*schema, "5").first, 0u);
}

TEST(JsonReader, RefusesWhatItCannotHoldTo) {
  const auto code = [](const char* text) {
    try {
      Schema::parse(Json::parse(text), "format");
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code(R"({"type":"string","pattern":"x"})"), ErrorCode::kUnsupported);
  EXPECT_EQ(code(R"({"allOf":[]})"), ErrorCode::kUnsupported);
  EXPECT_EQ(code(R"({"$ref":"http://x"})"), ErrorCode::kUnsupported);
  EXPECT_EQ(code(R"({"$ref":"#/none"})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(R"({"type":"thing"})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(R"({"type":"object","properties":5})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(R"({"type":"object","required":["x"],"properties":{}})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(R"({"anyOf":[]})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code("5"), ErrorCode::kInvalidInput);
}

// A byte-level vocabulary with some longer tokens, as GGUF keeps it.
text::Tokenizer long_token_tokenizer() {
  text::GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  const auto utf8 = [](uint32_t c) { return c < 0x80 ? std::string(1, static_cast<char>(c)) : std::string{static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))}; };
  uint32_t next = 256;
  for (uint32_t b = 0; b < 256; ++b) vocab.tokens.push_back(utf8((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174 ? b : next++));
  vocab.types.assign(256, 1);
  for (const char* more : {"\":", "\",", "{\"", "th", "\"}"}) {
    vocab.tokens.emplace_back(more);
    vocab.types.push_back(1);
  }
  vocab.merges = {"\" :", "\" ,", "{ \"", "t h", "\" }"};
  vocab.tokens.emplace_back("<end>");
  vocab.types.push_back(3);
  vocab.eos = static_cast<int64_t>(vocab.tokens.size()) - 1;
  return text::Tokenizer::from_gguf(vocab, "test");
}

// What the filter allows is what a reader accepts, token by token.
void check_each(const text::Tokenizer& words, const std::string& sofar, const Schema& schema, const std::vector<float>& logits) {
  for (int32_t id = 0; id < words.vocab_size(); ++id) {
    if (words.is_special(id)) continue;
    const std::string text = sofar + words.token_bytes(id);
    EXPECT_EQ(std::isfinite(logits[static_cast<size_t>(id)]), read(schema, text).first == text.size()) << text;
  }
}

TEST(JsonFilter, RandomChoicesMakeValidJson) {
  const text::Tokenizer words = long_token_tokenizer();
  const auto table = std::make_shared<TokenTable>(words);
  const Json wanted = Json::parse(R"({"type":"object","required":["a","b"],"properties":{"a":{"type":"integer"},"b":{"type":"array","items":{"type":"boolean"}},"c":{"enum":["x","y"]}}})");
  int finished = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const auto schema = seed % 2 ? Schema::parse(wanted, "format") : Schema::any_object();
    JsonFilter filter(table, schema, {words.eos()});
    std::string sofar;
    const Rng rng{7, seed, 0};
    std::vector<int32_t> ids;
    for (uint64_t step = 0; step < 400; ++step) {
      std::vector<float> logits(static_cast<size_t>(words.vocab_size()));
      for (size_t i = 0; i < logits.size(); ++i) logits[i] = rng.normal(step * 1000 + i);
      logits[static_cast<size_t>(words.eos())] += 3;
      filter.apply(logits);
      if (step % 16 == 0) check_each(words, sofar, *schema, logits);
      const auto best = std::max_element(logits.begin(), logits.end());
      ASSERT_TRUE(std::isfinite(*best));
      const auto id = static_cast<int32_t>(best - logits.begin());
      if (id == words.eos()) break;
      ids.push_back(id);
      filter.accept(id);
      sofar += words.token_bytes(id);
      if (step == 399) ids.clear();
    }
    if (ids.empty()) continue;  // a long string that had not ended
    ++finished;
    std::string bytes;
    for (const int32_t id : ids) bytes += words.token_bytes(id);
    const Json json = Json::parse(dump(Json(bytes)), nullptr, false);
    const Json document = Json::parse(json.get<std::string>(), nullptr, false);
    ASSERT_TRUE(document.is_object()) << bytes;
    if (seed % 2) {
      ASSERT_TRUE(document.at("a").is_number_integer()) << bytes;
      for (const Json& item : document.at("b")) ASSERT_TRUE(item.is_boolean()) << bytes;
    }
  }
  EXPECT_GT(finished, 20);
}

}  // namespace
}  // namespace hone::serve
