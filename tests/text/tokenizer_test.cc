// The small tokenizers of tests/golden/tokenizers, token for token against the reference; check_tokenizers compares more texts.
#include "text/tokenizer.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "io/gguf.h"
#include "recipes/gguf_vocab.h"
#include "text/unicode.h"

namespace hone::text {
namespace {

const std::string kFolder = HONE_GOLDEN_DIR "/tokenizers/";

Tokenizer open(const std::string& name) {
  if (name.ends_with(".gguf")) return Tokenizer::from_gguf(recipes::gguf_vocab(io::Gguf::open(kFolder + name)), name);
  return Tokenizer::from_file(kFolder + name);
}

const nlohmann::json& golden_tokenizers() {
  static const nlohmann::json json = nlohmann::json::parse(std::ifstream(kFolder + "golden.json"));
  return json;
}

std::string unhex(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string words(const std::vector<int32_t>& ids) { return fmt::format("{}", fmt::join(ids, " ")); }

std::vector<std::string> committed() {
  std::vector<std::string> names;
  for (const auto& [name, value] : golden_tokenizers()["tokenizers"].items())
    if (name.find('.') != std::string::npos) names.push_back(name);
  return names;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, GivesTheReferencesTokens) {
  const Tokenizer tokenizer = open(GetParam());
  const nlohmann::json& own = golden_tokenizers()["tokenizers"][GetParam()];
  const nlohmann::json& expected = own.contains("like") ? golden_tokenizers()["tokenizers"][own["like"].get<std::string>()] : own;
  const auto texts = golden_tokenizers()["texts"].get<std::vector<std::string>>();
  ASSERT_EQ(texts.size(), expected["core"].size());
  ASSERT_GT(texts.size(), 100u);
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string text = unhex(texts[i]), whole = utf8_replace_bad(text);
    const auto ids = tokenizer.encode(text, {.add_special = false});
    const auto decoded = [&](bool skip_special) {
      const std::string again = tokenizer.decode(ids, skip_special);
      std::string hex;
      for (const char c : again) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
      return again == whole ? "=" : hex;
    };
    const auto plain = tokenizer.encode(text, {.add_special = false, .parse_special = false});
    EXPECT_EQ(fmt::format("{}|{}|{}|{}|{}", words(ids), words(tokenizer.encode(text)), words(plain), decoded(false), decoded(true)),
              expected["core"][i].get<std::string>())
        << whole;
  }
}

// The ranges of tokens are in order and within the text; what they leave out are white space that was stripped and prefixes.
TEST_P(Golden, SpansFollowTheText) {
  const Tokenizer tokenizer = open(GetParam());
  for (const auto& hex : golden_tokenizers()["texts"]) {
    const std::string text = unhex(hex.get<std::string>());
    if (!utf8_valid(text)) continue;
    int32_t begin = 0;
    for (const TokenSpan& span : tokenizer.encode_spans(text)) {
      EXPECT_GE(span.begin, begin);
      EXPECT_LE(span.begin, span.end);
      EXPECT_LE(span.end, static_cast<int32_t>(text.size()));
      begin = span.begin;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, Golden, testing::ValuesIn(committed()), [](const auto& test) {
  std::string name = test.param;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
});

TEST(Tokenizer, SpansCoverByteLevelText) {
  const Tokenizer tokenizer = open("deepseek-v3.json");
  const std::string text = "你好 world 123<｜User｜> 🩷x";
  int32_t end = 0;
  for (const TokenSpan& span : tokenizer.encode_spans(text, {.add_special = false})) {
    EXPECT_EQ(span.begin, end);
    EXPECT_EQ(tokenizer.token_bytes(span.id), text.substr(static_cast<size_t>(span.begin), static_cast<size_t>(span.end - span.begin)));
    end = span.end;
  }
  EXPECT_EQ(end, static_cast<int32_t>(text.size()));
}

TEST(Tokenizer, DecodesTokenByToken) {
  for (const char* name : {"deepseek-v3.json", "llama2.json", "llama2.gguf"}) {
    const Tokenizer tokenizer = open(name);
    const std::string text = " 你好 🩷 мир";
    StreamDecoder decoder(tokenizer);
    std::string streamed;
    for (const int32_t id : tokenizer.encode(text, {.add_special = false})) {
      const std::string ready = decoder.push(id);
      EXPECT_TRUE(utf8_valid(ready));
      streamed += ready;
    }
    EXPECT_EQ(streamed + decoder.finish(), text) << name;
  }
}

// A quadratic step would take minutes on these.
TEST(Tokenizer, TakesLinearTimeOnLongRuns) {
  for (const char* name : {"deepseek-v3.json", "deepseek-llm.json", "qwen2.json", "llama2.json", "llama2.gguf"}) {
    const Tokenizer tokenizer = open(name);
    for (const std::string unit : {"a", "7", " ", "中", "\u0301\u0327", "\n", "\r\n", "!"}) {
      std::string text;
      while (text.size() < 300'000) text += unit;
      const std::clock_t start = std::clock();  // of the processor: other programs may take the rest of the time
      EXPECT_GT(tokenizer.encode(text + "x").size(), 1000u);
      EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 10) << name << " on a run of \"" << unit << '"';
    }
  }
}

}  // namespace
}  // namespace hone::text
