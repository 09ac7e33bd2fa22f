#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "base/error.h"
#include "text/tokenizer.h"

namespace hone::text {
namespace {

Json golden() {
  const char* other = std::getenv("HONE_TEMPLATE_GOLDENS");  // more templates than are kept here
  std::ifstream file(other ? std::string(other) : HONE_GOLDEN_DIR "/templates/templates.json");
  return Json::parse(file);
}

RenderOptions options_of(const Json& test) {
  RenderOptions options;
  options.bos_token = test.value("bos_token", "<s>");
  options.eos_token = test.value("eos_token", "</s>");
  if (test.contains("extra")) options.extra = test["extra"];
  options.add_generation_prompt = test["add_generation_prompt"].get<bool>();
  options.tools = test["tools"];
  return options;
}

std::vector<std::string> learned(const Rendered& rendered) {
  std::vector<std::string> pieces;
  for (const auto& [begin, end] : rendered.assistant) pieces.push_back(rendered.text.substr(begin, end - begin));
  return pieces;
}

TEST(ChatTemplate, RendersAsTransformersDoes) {
  const Json all = golden();
  int compared = 0;
  for (const Json& test : all["cases"]) {
    const auto name = test["template"].get<std::string>();
    SCOPED_TRACE(name + " / " + test["name"].get<std::string>());
    try {
      const ChatTemplate chat = ChatTemplate::parse(all["templates"][name].get<std::string>(), name);
      const std::string text = chat.render(test["messages"], options_of(test));
      EXPECT_FALSE(test.contains("error")) << "transformers refuses: " << test["error"] << "\nhone gives: " << text;
      if (test.contains("text")) { EXPECT_EQ(text, test["text"].get<std::string>()); }
      ++compared;
    } catch (const Error& error) {
      EXPECT_TRUE(test.contains("error")) << error.what();
    }
  }
  EXPECT_GT(compared, 20);
}

TEST(ChatTemplate, GenerationBlocksMarkTheAssistant) {
  const Json all = golden();
  int compared = 0;
  for (const Json& test : all["cases"]) {
    if (!test.contains("generations") || test["add_generation_prompt"].get<bool>()) continue;
    const auto name = test["template"].get<std::string>();
    const ChatTemplate chat = ChatTemplate::parse(all["templates"][name].get<std::string>(), name);
    EXPECT_TRUE(chat.marks_generation());
    EXPECT_EQ(learned(chat.render_for_training(test["messages"], options_of(test))),
              test["generations"].get<std::vector<std::string>>());
    ++compared;
  }
  if (!std::getenv("HONE_TEMPLATE_GOLDENS")) { EXPECT_GT(compared, 3); }
}

// Each family: the learned ranges are the assistant's turns, and the tokens that the mask keeps decode to exactly those.
TEST(ChatTemplate, LearnsTheAssistantsTurns) {
  const Json all = golden();
  std::map<std::string, Tokenizer> tokenizers;
  for (const Json& test : all["cases"]) {
    if (!test.contains("learned")) continue;
    const auto name = test["template"].get<std::string>(), with = test["tokenizer"].get<std::string>();
    SCOPED_TRACE(name + " / " + test["name"].get<std::string>());
    const ChatTemplate chat = ChatTemplate::parse(all["templates"][name].get<std::string>(), name);
    const Rendered rendered = chat.render_for_training(test["messages"], options_of(test));
    const auto expected = test["learned"].get<std::vector<std::string>>();
    EXPECT_EQ(learned(rendered), expected);
    if (!tokenizers.contains(with)) tokenizers.emplace(with, Tokenizer::from_file(HONE_GOLDEN_DIR "/tokenizers/" + with + ".json"));
    const Tokenizer& tokenizer = tokenizers.at(with);
    const std::vector<TokenSpan> tokens = tokenizer.encode_spans(rendered.text, {.add_special = false});
    const std::vector<uint8_t> mask = role_mask(rendered, tokens);
    std::vector<int32_t> kept;
    for (size_t i = 0; i < tokens.size(); ++i)
      if (mask[i]) kept.push_back(tokens[i].id);
    std::string words;
    for (const std::string& piece : expected) words += piece;
    EXPECT_EQ(tokenizer.decode(kept), words);
  }
}

std::vector<std::string> learned_of(const std::string& name, const std::string& conversation) {
  const Json all = golden();
  for (const Json& test : all["cases"])
    if (test["template"] == name && test["name"] == conversation && !test["add_generation_prompt"].get<bool>())
      return learned(ChatTemplate::parse(all["templates"][name].get<std::string>(), name)
                         .render_for_training(test["messages"], options_of(test)));
  ADD_FAILURE() << name << " / " << conversation << " is not among the goldens";
  return {};
}

using Pieces = std::vector<std::string>;

TEST(ChatTemplate, LearnsTheAnswersAndTheirEndOfTurn) {
  if (std::getenv("HONE_TEMPLATE_GOLDENS")) GTEST_SKIP() << "other goldens were asked for; these conversations are in the committed ones";
  EXPECT_EQ(learned_of("chatml.jinja", "short"), (Pieces{"Hello!<|im_end|>"}));
  EXPECT_EQ(learned_of("chatml.jinja", "system"), (Pieces{"  您好！\n<|im_end|>"}));
  EXPECT_EQ(learned_of("chatml.jinja", "turns"), (Pieces{"one<|im_end|>", "two <|x|> {{ y }}<|im_end|>"}));
  EXPECT_EQ(learned_of("chatml.jinja", "open"), Pieces{});
  EXPECT_EQ(learned_of("refuses.jinja", "short"), (Pieces{"Hello!</s>"}));
}

TEST(ChatTemplate, LearnsWhatTheTemplateKeepsOfReasoning) {
  if (std::getenv("HONE_TEMPLATE_GOLDENS")) GTEST_SKIP() << "other goldens were asked for; these conversations are in the committed ones";
  EXPECT_EQ(learned_of("thinking.jinja", "thinking"), (Pieces{"2<|end|>", "<think>\nharder\n</think>\n\n4<|end|>"}));
  EXPECT_EQ(learned_of("deepseek_like.jinja", "thinking"),
            (Pieces{"\n\n2<｜end▁of▁sentence｜>", "\n\n4<｜end▁of▁sentence｜>"}));
  EXPECT_EQ(learned_of("thinking.jinja", "tools"),
            (Pieces{"<call>weather {\"city\": \"Köln\"}</call><|end|>", "<think>\n\n</think>\n\nSunny.<|end|>"}));
}

TEST(ChatTemplate, TokensCountWhenTheyStartInside) {
  const Rendered rendered{"abcdef", {{2, 4}}};
  const std::vector<TokenSpan> tokens = {{9, 0, 0}, {1, 0, 2}, {2, 2, 3}, {3, 3, 5}, {4, 5, 6}};
  EXPECT_EQ(role_mask(rendered, tokens), (std::vector<uint8_t>{0, 0, 1, 1, 0}));
  const std::vector<TokenSpan> straddling = {{1, 0, 3}, {2, 3, 6}};
  EXPECT_EQ(role_mask(rendered, straddling), (std::vector<uint8_t>{0, 1}));
}

struct BrokenTemplate {
  const char* name;
  const char* source;
  const char* expected;  // part of the message
  int line;
};

class BadTemplate : public testing::TestWithParam<BrokenTemplate> {};

TEST_P(BadTemplate, IsRefusedWithItsLine) {
  const BrokenTemplate& bad = GetParam();
  try {
    const Json messages = Json::parse(R"([{"role": "user", "content": "x"}])");
    ChatTemplate::parse(bad.source, "file.jinja").render(messages, {});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find(bad.expected), std::string::npos) << error.message();
    EXPECT_EQ(error.where(), "file.jinja:" + std::to_string(bad.line));
    EXPECT_NE(error.code(), ErrorCode::kInternal);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Catalogue, BadTemplate,
    testing::Values(BrokenTemplate{"unclosed_for", "\n{% for m in messages %}", "not closed", 2},
                    BrokenTemplate{"unknown_block", "{% frobnicate %}", "unknown block", 1},
                    BrokenTemplate{"include", "a\n\n{% include 'x' %}", "not supported", 3},
                    BrokenTemplate{"unknown_filter", "{{ messages | nosuch }}", "nosuch", 1},
                    BrokenTemplate{"unknown_test", "{{ messages is nosuch }}", "nosuch", 1},
                    BrokenTemplate{"stray_end", "{% endfor %}", "closes nothing", 1},
                    BrokenTemplate{"missing_operand", "{{ 1 + }}", "expected an expression", 1},
                    BrokenTemplate{"unclosed_string", "{{ 'abc }}", "", 1},
                    BrokenTemplate{"undefined_attribute", "x\n{{ nothing.at.all }}", "undefined", 2},
                    BrokenTemplate{"raise", "{{ raise_exception('no way') }}", "no way", 1},
                    BrokenTemplate{"type_error", "{{ 'a' + 1 }}", "+", 1},
                    BrokenTemplate{"divide_by_zero", "{{ 1 / 0 }}", "zero", 1},
                    BrokenTemplate{"mutation", "{{ messages.append(1) }}", "sandbox", 1},
                    BrokenTemplate{"endless_macro", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "deep", 1},
                    BrokenTemplate{"work", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "work", 1},
                    BrokenTemplate{"huge_text", "{{ 'x' * 999999999 }}", "longer", 1},
                    BrokenTemplate{"doubling", "{% set n = namespace(s='xxxxxxxx') %}{% for a in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}", "longer", 1}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace hone::text
