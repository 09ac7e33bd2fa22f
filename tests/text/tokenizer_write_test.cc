// Tokenizers written in the other format give the same tokens.
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"

namespace hone::text {
namespace {

const std::vector<std::string> kTexts = {"the thing", "  leading and  double", "num 123 4", "<x>the<y> th", "naïve 数字\n\n  the\tend", "it's THE'S", ""};

std::string utf8(uint32_t c) {
  if (c < 0x80) return std::string(1, static_cast<char>(c));
  return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
}

GgufVocab byte_level(const std::string& pre) {
  GgufVocab v;
  v.model = "gpt2";
  v.pre = pre;
  uint32_t next = 256;
  for (uint32_t b = 0; b < 256; ++b) v.tokens.push_back(utf8((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174 ? b : next++));
  v.types.assign(256, 1);
  for (const char* token : {"th", "the", "Ġthe", "in", "the'"}) v.tokens.emplace_back(token), v.types.push_back(1);
  v.merges = {"t h", "th e", "Ġ the", "i n"};
  for (const auto& [token, type] : {std::pair{"<x>", 3}, {"<y>", 4}, {"<s>", 3}, {"</s>", 3}}) v.tokens.emplace_back(token), v.types.push_back(type);
  v.bos = 263;
  v.eos = 264;
  v.add_bos = true;
  v.add_eos = false;
  return v;
}

GgufVocab sentencepiece() {
  GgufVocab v;
  v.model = "llama";
  v.pre = "default";
  const auto add = [&](const std::string& token, int64_t type, double score) {
    v.tokens.push_back(token);
    v.types.push_back(type);
    v.scores.push_back(score);
  };
  add("<unk>", 2, 0);
  add("<s>", 3, 0);
  add("</s>", 3, 0);
  for (int b = 0; b < 256; ++b) add(fmt::format("<0x{:02X}>", b), 6, 0);
  for (const char* token : {"th", "the", "▁the", "▁▁", "in", "ing", "hing", "▁thing"}) add(token, 1, -static_cast<double>(v.tokens.size() - 259));
  for (const char c : std::string("abcdefghijklmnopqrstuvwxyz")) add(std::string(1, c), 1, -1000);
  add("▁", 1, -1000);
  add("<x>", 3, 0);
  add("<y>", 4, 0);
  v.unk = 0;
  v.bos = 1;
  v.eos = 2;
  v.add_bos = true;
  v.add_eos = true;
  v.add_space_prefix = true;
  return v;
}

void expect_same(const GgufVocab& vocab) {
  const Tokenizer gguf = Tokenizer::from_gguf(vocab, "gguf");
  const Tokenizer json = Tokenizer::from_json(tokenizer_json(vocab, "gguf"), "json");
  const GgufVocab written = json.to_gguf(static_cast<int64_t>(vocab.tokens.size()) + 2);
  EXPECT_EQ(written.pre, vocab.pre);
  EXPECT_EQ(written.merges, vocab.merges);
  EXPECT_EQ(written.tokens.back(), fmt::format("[PAD{}]", vocab.tokens.size() + 1));
  EXPECT_EQ(std::vector<int64_t>(written.types.begin(), written.types.end() - 2), vocab.types);
  EXPECT_EQ(written.types.back(), 5);
  EXPECT_EQ(written.bos, vocab.bos);
  EXPECT_EQ(written.add_bos, vocab.add_bos);
  EXPECT_EQ(written.add_eos, vocab.add_eos);
  EXPECT_EQ(written.add_space_prefix, vocab.add_space_prefix);
  const Tokenizer back = Tokenizer::from_gguf(written, "back");
  for (const std::string& text : kTexts) {
    const std::vector<int32_t> expected = gguf.encode(text);
    EXPECT_EQ(json.encode(text), expected) << text;
    EXPECT_EQ(back.encode(text), expected) << text;
    EXPECT_EQ(json.decode(expected, true), gguf.decode(expected, true)) << text;
  }
}

TEST(TokenizerWrite, ByteLevelBothWays) {
  for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "smaug-bpe", "qwen2", "deepseek-llm", "deepseek-coder", "deepseek-v3"}) {
    SCOPED_TRACE(pre);
    expect_same(byte_level(pre));
  }
}

TEST(TokenizerWrite, SentencePieceBothWays) {
  expect_same(sentencepiece());
  const Tokenizer t = Tokenizer::from_gguf(sentencepiece(), "gguf");
  EXPECT_EQ(t.encode("  the", {.add_special = false}).size(), 2u) << "▁▁ and ▁the: a space is added before spaces too";
}

std::vector<PreStep> isolated(const std::string& regex) { return {PreStep::split(regex, "test")}; }

TEST(TokenizerWrite, FindsTheNameOfAPreTokenizer) {
  // As published: line ends as characters, and the list of cased letters.
  EXPECT_EQ(gguf_pretokenizer_name(isolated("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"), false, "t"), "qwen2");
  EXPECT_EQ(gguf_pretokenizer_name(isolated(kGpt2Pattern), false, "t"), "gpt-2") << "never \"default\", which is another pattern in llama.cpp";
  std::vector<PreStep> kept = isolated(kGpt2Pattern);
  kept[0].behavior = SplitBehavior::kRemoved;
  kept[0].invert = true;
  EXPECT_EQ(gguf_pretokenizer_name(kept, false, "t"), "gpt-2");
  EXPECT_THROW(gguf_pretokenizer_name(isolated("\\w+"), false, "t"), Error);
  EXPECT_THROW(gguf_pretokenizer_name(isolated(kGpt2Pattern), /*ignore_merges=*/true, "t"), Error);
}

TEST(TokenizerWrite, RefusesWhatDoesNotFit) {
  GgufVocab twice = byte_level("gpt-2");
  twice.tokens[10] = twice.tokens[11];
  EXPECT_THROW(tokenizer_json(twice, "t"), Error);
  const Tokenizer json = Tokenizer::from_json(tokenizer_json(byte_level("gpt-2"), "t"), "json");
  EXPECT_THROW(json.to_gguf(10), Error) << "an embedding smaller than the vocabulary";
}

}  // namespace
}  // namespace hone::text
