// Documents that follow a schema are read to their end, others are refused at their first wrong byte; a filter lets a blind writer
// produce valid JSON only.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "serve/schema/json_filter.h"

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
  for (const char* good : {R"({"name":"x","kind":"a"})", R"({"name":"","kind":"ab"})", R"({"name":"x","kind":5,"size":-12})", R"({"name":"x","kind":null,"tags":["p","q"]})",
                           R"({"name":"x","kind":"a","next":{"name":"y","kind":5,"next":null}})", R"({"name":"x","kind":"a","next":1.5})"})
    EXPECT_TRUE(whole(*schema, good)) << good;
  for (const char* bad : {R"({})", R"({"name":"x"})", R"({"name":5)", R"({"o)", R"({"k)", R"({"name":"x","kind":"b)", R"({"name":"x","kind":6)", R"({"name":"x","n)", R"({"name":"x","kind":5,"size":1.)", R"({"name":"x","kind":5,"tags":[])", R"({"name":"x","kind":5,"tags":["p","q",)",
                          R"({"name":"x","kind":5,"next":t)", R"({"name":"x","kind":5,"next":{"s)"})
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
  for (const char* text : {R"({"not":{}})", R"({"if":{}})", R"({"type":"array","contains":{}})", R"({"dependentRequired":{}})", R"({"type":"string","pattern":"(a)\\1"})", R"({"type":"string","pattern":"(?<=a)b"})",
                           R"({"type":"string","format":"regex"})", R"({"type":"string","maxlength":5})", R"({"type":"string","pattern":"(a|b)*a(a|b){20}"})", R"({"uniqueItems":true,"items":{"type":"object"}})",
                           R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", R"({"unevaluatedProperties":{"type":"string"}})", R"({"$dynamicRef":"#a"})"})
    EXPECT_EQ(code(text), ErrorCode::kUnsupported) << text;
  for (const char* text : {R"({"allOf":[]})", R"({"type":"integer","minimum":5,"maximum":4})", R"({"type":"string","pattern":"^a$","minLength":2})", R"({"type":"string","pattern":"a["})", R"({"enum":["a"],"type":"integer"})",
                           R"({"allOf":[{"type":"string"},{"type":"integer"}]})", R"({"type":"object","properties":{"next":{"$ref":"#"}},"required":["next"]})", R"({"type":"array","items":{"enum":[1,2]},"uniqueItems":true,"minItems":3})", "false"})
    EXPECT_EQ(code(text), ErrorCode::kInvalidInput) << text;
  EXPECT_EQ(code(R"({"$ref":"http://x"})"), ErrorCode::kUnsupported);
  EXPECT_EQ(code(R"({"$ref":"#/none"})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(R"({"type":"thing"})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(R"({"type":"object","properties":5})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(R"({"type":"object","required":["x"],"properties":{},"additionalProperties":false})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(R"({"anyOf":[]})"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code("5"), ErrorCode::kInvalidInput);
}

struct Held {
  const char* schema;
  std::vector<const char*> good, bad;  // bad: the last byte is refused
};

TEST(JsonReader, HoldsToEveryWord) {
  const Held kCases[] = {
      {R"({"type":"integer","minimum":-5,"maximum":120})", {"-5", "0", "120", "99"}, {"-6", "121", "13 ", "01", "-0", "1."}},
      {R"({"type":"integer","multipleOf":7,"exclusiveMinimum":0,"maximum":50})", {"7", "49", "14"}, {"0", "5", "8"}},
      {R"({"type":"number","exclusiveMinimum":0,"maximum":1.5})", {"0.1", "1.5", "1", "1.25"}, {"1.6", "2", "-", "1.51", "0 ", "1e"}},
      {R"({"type":"number","multipleOf":0.01,"minimum":0})", {"0.07", "12.5", "3"}, {"0.071", "-"}},
      {R"({"type":"integer","format":"int32"})", {"2147483647", "-2147483648"}, {"2147483648", "-2147483649"}},
      {R"({"type":"integer"})", {"9223372036854775807"}, {"1.", "1e"}},
      {R"({"type":"string","minLength":2,"maxLength":3})", {R"("ab")", R"("äöü")", R"("\n\u00e4")", R"("\ud83d\ude00x")"}, {R"("a")", R"("abcd)", R"("ab\n\)", R"("\udc)", R"("\ud83dx)", "\"\xC0", "\"\xED\xA0"}},
      {R"({"type":"string","pattern":"^[A-Z]{2}-\\d+$"})", {R"("AB-1")", R"("AB-123")"}, {R"("A-)", R"("AB-")", R"("AB-1x)", R"("ABC)", R"("\)"}},
      {R"({"type":"string","pattern":"b+"})", {R"("abc")", R"("b")", R"("\"b\n")"}, {R"("a")"}},
      {R"({"type":"string","pattern":"^(?!.*--)[a-z-]{1,6}$"})", {R"("a-b")"}, {R"("a--)", R"("abcdefg)"}},
      {R"({"type":"string","pattern":"^\\p$|^(x|yé)$"})", {}, {}},
      {R"({"type":"string","pattern":"^(x|yé)$"})", {R"("x")", R"("yé")"}, {"\"y\xC4", R"("y")"}},
      {R"({"type":"string","format":"date"})", {R"("2024-02-29")", R"("2000-02-29")"}, {R"("2023-02-29)", R"("1900-02-29)", R"("2023-13)", R"("2023-04-31)"}},
      {R"({"type":"string","format":"date-time"})", {R"("2024-01-01T00:00:00Z")", R"("2024-01-01T00:00:00.5+02:00")"}, {R"("2024-01-01 )", R"("2024-01-01T24)"}},
      {R"({"type":"string","format":"ipv4"})", {R"("255.0.10.1")"}, {R"("256)", R"("1.2.3")"}},
      {R"({"type":"string","format":"ipv6"})", {R"("::1")", R"("2001:db8::8a2e:370:7334")", R"("1:2:3:4:5:6:7:8")"}, {R"("1:2:3:4:5:6:7:8:)", R"("1::2::)"}},
      {R"({"type":"string","format":"uuid"})", {R"("12345678-1234-1234-1234-123456789abc")"}, {R"("123456789)"}},
      {R"({"const":{"a":[1,"x"]}})", {R"({"a":[1,"x"]})", R"({ "a" : [1, "x"] })"}, {R"({"a":[2)", R"({"a":[1])", R"({})"}},
      {R"({"enum":["a",1,null,{"b":true},[]]})", {R"("a")", "1", "null", R"({"b":true})", "[]"}, {R"("b)", "2", R"({"b":f)"}},
      {R"({"type":["string","null"],"enum":["a",null,5]})", {R"("a")", "null"}, {"5"}},
      {R"({"allOf":[{"$ref":"#/$defs/c"}],"description":"x","x-mine":1,"$defs":{"c":{"$ref":"#/$defs/d"},"d":{"enum":["r","g"]}}})", {R"("r")"}, {R"("b)"}},
      {R"({"allOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"boolean"},"a":{"minimum":3}},"required":["b"]}]})", {R"({"a":3,"b":true})"}, {R"({"a":2,)", R"({"a":3})"}},
      {R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}]})", {R"([1,"x"])"}, {"[1]", R"([1,"x",)", R"([")"}},
      {R"({"type":"array","prefixItems":[{"type":"integer"}],"items":{"type":"boolean"},"minItems":0})", {"[]", "[1]", "[1,true]"}, {"[t", "[1,2"}},
      {R"({"type":"array","items":[{"type":"integer"}],"additionalItems":false})", {"[1]"}, {"[1,"}},
      {R"({"type":"array","items":{"enum":["a","ab",3]},"uniqueItems":true})", {R"(["a","ab",3])", R"(["ab","a"])"}, {R"(["a","a")", R"([3,3)", R"(["a","ab",3,)"}},
      {R"({"type":"array","items":{"type":"integer","minimum":1,"maximum":12},"uniqueItems":true})", {"[1,12,2]"}, {"[1,2,2", "[1,12,10,11,1"}},
      {R"({"type":"array","items":{"type":"string"},"uniqueItems":true})", {R"(["","a","aa"])"}, {R"(["a","a")", R"(["\u0061","a")"}},
      {R"({"type":"object","additionalProperties":{"type":"integer"}})", {"{}", R"({"a":1,"b":2})"}, {R"({"a":1,"a")", R"({"a":t)"}},
      {R"({"type":"object","properties":{"a":{}},"additionalProperties":true})", {R"({"b":1})", R"({"a":1,"b":[]})"}, {R"({"b":1,"a")", R"({"a":1,"a")"}},
      {R"({"type":"object","patternProperties":{"^x":{"type":"integer"},"y$":{"minimum":5}}})", {R"({"x":1,"by":6,"xy":5})"}, {R"({"a")", R"({"xy":4})", R"({"x":t)"}},
      {R"({"type":"object","propertyNames":{"enum":["a","b"]},"additionalProperties":{"type":"integer"}})", {R"({"a":1,"b":2})", R"({"b":2})"}, {R"({"c)", R"({"a":1,"b":2,)"}},
      {R"({"type":"object","propertyNames":{"pattern":"^[ab]$"},"additionalProperties":{"type":"integer"}})", {R"({"b":1,"a":2})"}, {R"({"b":1,"b)", R"({"b":1,"a":2,)"}},
      {R"({"type":"object","minProperties":1,"maxProperties":2,"properties":{"a":{},"b":{},"c":{}}})", {R"({"a":1})", R"({"b":1,"c":2})"}, {"{}", R"({"a":1,"b":2,)"}},
      {R"({"oneOf":[{"properties":{"k":{"const":"a"},"x":{"type":"integer"}}},{"properties":{"k":{"const":"b"},"x":{"type":"string"}}}]})", {R"({"k":"a","x":1})", R"({"k":"b"})"}, {R"({})", R"({"x)", R"({"k":"a","x":")"}},
      {R"({"type":"string","nullable":true})", {"null", R"("x")"}, {"1"}},
      {R"({"$id":"http://x/y","$ref":"http://x/y#/$defs/a%20b","$defs":{"a b":{"type":"boolean"}}})", {"true"}, {"1"}},
      {R"({"$ref":"#here","$defs":{"z":{"$anchor":"here","type":"boolean"}}})", {"true"}, {"1"}},
  };
  for (const Held& held : kCases) {
    SCOPED_TRACE(held.schema);
    if (held.good.empty()) {
      EXPECT_THROW(Schema::parse(Json::parse(held.schema), "format"), Error);
      continue;
    }
    const auto schema = Schema::parse(Json::parse(held.schema), "format");
    for (const char* good : held.good) EXPECT_TRUE(whole(*schema, good)) << good << " refused at " << read(*schema, good).first;
    for (const char* bad : held.bad) EXPECT_EQ(read(*schema, bad).first, std::string(bad).size() - 1) << bad;
  }
}

TEST(JsonReader, ManyPropertiesAndNamedPlaces) {
  Json schema = {{"type", "object"}, {"required", Json::array()}};
  std::string text = "{";
  for (int i = 0; i < 300; ++i) {
    const std::string name = fmt::format("field_{}", i);
    schema["properties"][name] = {{"type", "integer"}};
    schema["required"].push_back(name);
    text += fmt::format("{}\"{}\":{}", i ? "," : "", name, i);
  }
  EXPECT_TRUE(whole(*Schema::parse(schema, "format"), text + "}"));
  try {
    Schema::parse(Json::parse(R"({"properties":{"a":{"items":{"allOf":[{"not":{}}]}}}})"), "format");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "format.properties.a.items.allOf[0].not");
  }
}

TEST(JsonReader, CallsInTheFormOfAModel) {
  Schema::Calls hermes{.begin = "<tool_call>\n", .next = "\n</tool_call>\n<tool_call>\n", .close = "\n</tool_call>", .any = {}, .most = 2};
  hermes.any.push_back({R"({"name": "add", "arguments": )", Json::parse(R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]})"), "tools[0]", "}"});
  hermes.any.push_back({R"({"name": "addle", "arguments": )", nullptr, "tools[1]", "}"});
  const auto several = Schema::of_calls(hermes);
  const std::string add = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>", addle = "<tool_call>\n{\"name\": \"addle\", \"arguments\": {}}\n</tool_call>";
  for (const std::string& good : {add, addle, add + "\n" + addle}) EXPECT_TRUE(whole(*several, good)) << good;
  EXPECT_EQ(read(*several, add + "\n" + add + "\n").first, 2 * add.size() + 1) << "two at most";
  for (const char* bad : {"<tool_call>\n ", "<tool_call>\n{\"name\": \"b", "<tool_call>\n{\"name\": \"add\", \"arguments\": [", "<tool_call>\n{\"name\": \"add\", \"arguments\": {}", "I"})
    EXPECT_EQ(read(*several, bad).first, std::string(bad).size() - 1) << bad;
  hermes.most = 1;
  EXPECT_EQ(read(*Schema::of_calls(hermes), add + "\n").first, add.size());
  Schema::Calls bare{.begin = "", .next = "", .close = "", .any = {{R"({"name": "f", "parameters": )", nullptr, "tools[0]", "}"}}, .most = 16};
  EXPECT_TRUE(whole(*Schema::of_calls(bare), R"({"name": "f", "parameters": {"x": [1]}})"));
  Schema::Calls deepseek{.begin = "<B>", .next = "<E>\n<C>", .close = "<E><Z>", .any = {{"f<S>", nullptr, "tools[0]", ""}}, .most = 3};
  EXPECT_TRUE(whole(*Schema::of_calls(deepseek), "<B>f<S>{}<E>\n<C>f<S>{\"a\":1}<E><Z>"));
}

TEST(JsonReader, DepthIsLeftForWhatMustStillCome) {
  const auto schema = Schema::parse(Json::parse(R"({"type":"object","required":["end"],"properties":{"end":{"type":"array","minItems":1,"items":{"type":"integer"}},"next":{"$ref":"#"}}})"), "format");
  JsonReader reader(schema->root());
  std::string text;
  const std::string step = R"({"end":[1],"next":)";
  int levels = 0;
  for (bool on = true; on; ++levels)
    for (const char c : step) {
      JsonReader after = reader;
      on = after.push(static_cast<unsigned char>(c));
      if (!on) break;
      reader = after;
    }
  EXPECT_GT(levels, 40);
  for (const char c : std::string("}")) EXPECT_TRUE(reader.push(static_cast<unsigned char>(c))) << "the last object ends without a deeper one";
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
  const Json texts = Json::parse(R"({"type":"object","required":["a","b"],"properties":{"a":{"type":"string","pattern":"^t[a-zé\"]{0,5}$"},"b":{"type":"array","items":{"type":"string","maxLength":4},"maxItems":3}}})");
  int finished = 0;
  for (uint32_t seed = 0; seed < 30; ++seed) {
    const auto schema = seed % 2 ? Schema::parse(wanted, "format") : seed % 4 ? Schema::any_object() : Schema::parse(texts, "format");
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
  EXPECT_GT(finished, 10);
}

}  // namespace
}  // namespace hone::serve
