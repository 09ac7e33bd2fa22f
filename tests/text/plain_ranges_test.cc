// Whose words are whose in a prompt: the text of a special token is that token where the template wrote it, and text elsewhere.
#include <gtest/gtest.h>

#include <algorithm>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace hone::text {
namespace {

Tokenizer tokenizer() {
  GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  const auto utf8 = [](uint32_t c) { return c < 0x80 ? std::string(1, static_cast<char>(c)) : std::string{static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))}; };
  uint32_t next = 256;
  for (uint32_t b = 0; b < 256; ++b) vocab.tokens.push_back(utf8((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174 ? b : next++));
  vocab.types.assign(256, 1);
  vocab.tokens.emplace_back("<s>");
  vocab.types.push_back(3);
  return Tokenizer::from_gguf(vocab, "test");
}

TEST(PlainRanges, SpecialTokensOutsideThemOnly) {
  const Tokenizer t = tokenizer();
  const std::string text = "<s>a<s>b<s>";
  const auto count = [&](std::vector<std::pair<size_t, size_t>> plain) {
    const auto ids = t.encode(text, {.add_special = false, .plain = plain});
    EXPECT_EQ(t.decode(ids), text);
    return std::count(ids.begin(), ids.end(), 256);
  };
  EXPECT_EQ(count({}), 3);
  EXPECT_EQ(count({{4, 7}}), 2);
  EXPECT_EQ(count({{6, 7}}), 2);  // one byte is enough: nobody completes a token of the template's
  EXPECT_EQ(count({{3, 4}, {7, 8}}), 3);
  EXPECT_EQ(count({{0, 4}, {8, 11}}), 1);
  EXPECT_EQ(count({{0, 11}}), 0);
}

TEST(PlainRanges, RenderedPromptsSayWhoseWords) {
  const ChatTemplate chat = ChatTemplate::parse("<s>{% for m in messages %}{{ m.role }}: {{ m.content | trim }}<s>{% endfor %}{{ tools | length }}{{ tools[0].name }}", "test");
  RenderOptions options;
  options.tools = Json::array({{{"name", "f<s>"}}});
  const RenderedPrompt prompt = chat.render_prompt(Json::array({{{"role", "user"}, {"content", " x<s> "}}}), options);
  EXPECT_EQ(prompt.text, "<s>user: x<s><s>1f<s>");
  const auto ids = tokenizer().encode(prompt.text, {.add_special = false, .plain = prompt.words});
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 256), 2);
}

}  // namespace
}  // namespace hone::text
