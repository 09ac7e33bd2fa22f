#include "text/chat_turns.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "base/error.h"

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

// What is learned of each turn.
std::vector<std::string> learned(const ChatTemplate& chat, const Json& messages, const RenderOptions& options) {
  std::vector<std::string> pieces;
  for (const LearnedTurn& turn : learned_turns(chat, reasoning_form(chat, options), messages, options)) pieces.push_back(turn.text.substr(turn.begin));
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
    ++compared;
    if (test["name"] == "tools") {
      EXPECT_THROW(learned(chat, test["messages"], options_of(test)), Error) << "the template does not write calls";
      continue;
    }
    EXPECT_EQ(learned(chat, test["messages"], options_of(test)), test["generations"].get<std::vector<std::string>>());
  }
  if (!std::getenv("HONE_TEMPLATE_GOLDENS")) { EXPECT_GT(compared, 3); }
}

// Each family: what is learned is what follows the generation prompt of transformers.
TEST(ChatTemplate, LearnsTheAssistantsTurns) {
  const Json all = golden();
  for (const Json& test : all["cases"]) {
    if (!test.contains("learned")) continue;
    const auto name = test["template"].get<std::string>();
    SCOPED_TRACE(name + " / " + test["name"].get<std::string>());
    const ChatTemplate chat = ChatTemplate::parse(all["templates"][name].get<std::string>(), name);
    if (test["learned"].is_null()) {
      EXPECT_THROW(learned(chat, test["messages"], options_of(test)), Error);
      continue;
    }
    EXPECT_EQ(learned(chat, test["messages"], options_of(test)), test["learned"].get<std::vector<std::string>>());
  }
}

std::vector<std::string> learned_of(const std::string& name, const std::string& conversation) {
  const Json all = golden();
  for (const Json& test : all["cases"])
    if (test["template"] == name && test["name"] == conversation && !test["add_generation_prompt"].get<bool>())
      return learned(ChatTemplate::parse(all["templates"][name].get<std::string>(), name), test["messages"], options_of(test));
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

TEST(ChatTemplate, LearnsReasoningWhereInferenceExpectsIt) {
  if (std::getenv("HONE_TEMPLATE_GOLDENS")) GTEST_SKIP() << "other goldens were asked for; these conversations are in the committed ones";
  EXPECT_EQ(learned_of("thinking.jinja", "thinking"), (Pieces{"<think>\neasy\n</think>\n\n2<|end|>", "<think>\nharder\n</think>\n\n4<|end|>"}));
  EXPECT_EQ(learned_of("thinking.jinja", "tools"),
            (Pieces{"<think>\n\n</think>\n\n<call>weather {\"city\": \"Köln\"}</call><|end|>", "<think>\n\n</think>\n\nSunny.<|end|>"}));
}

// A prompt that opens <think>: what is learned goes on from there, with reasoning and without; "no reasoning" is asked for in the form that was learned.
TEST(ChatTurns, AnOpenedReasoning) {
  const ChatTemplate chat = ChatTemplate::parse("{% for m in messages %}[{{ m.role }}]{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}[assistant]<think>\n{% endif %}", "open");
  const RenderOptions options;
  const ReasoningForm form = reasoning_form(chat, options);
  EXPECT_TRUE(form.known && form.opens && !form.closed && form.variable.empty());
  const Json plain = Json::parse(R"([{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"r"},{"role":"assistant","content":"b","reasoning_content":"why"}])");
  const auto turns = learned_turns(chat, form, plain, options);
  ASSERT_EQ(turns.size(), 2u);
  EXPECT_EQ(turns[0].text, "[user]q<|end|>[assistant]<think>\n\n</think>\n\na<|end|>");
  EXPECT_EQ(turns[0].text.substr(turns[0].begin), "\n</think>\n\na<|end|>");
  EXPECT_EQ(turns[1].text, "[user]q<|end|>[assistant]a<|end|>[user]r<|end|>[assistant]<think>\nwhy\n</think>\n\nb<|end|>");
  const Json before = Json::parse(R"([{"role":"user","content":"q"}])");
  const TurnPrompt open = turn_prompt(chat, form, before, options, std::nullopt), off = turn_prompt(chat, form, before, options, false);
  EXPECT_EQ(open.text, turns[0].text.substr(0, turns[0].begin));
  EXPECT_TRUE(open.inside);
  EXPECT_FALSE(off.inside);
  EXPECT_EQ(off.text, "[user]q<|end|>[assistant]<think>\n\n</think>\n\n");
  EXPECT_EQ(turns[0].cuts, (std::vector<size_t>{open.text.size(), off.text.size()})) << "tokens end where either prompt does";
  EXPECT_EQ(off.cuts, (std::vector<size_t>{open.text.size()}));
}

// DeepSeek V3.1: a switch of its own, off by default, and no lines around the mark.
TEST(ChatTurns, ASwitchThatIsOffByDefault) {
  const ChatTemplate chat = ChatTemplate::parse(
      "{% if not thinking is defined %}{% set thinking = false %}{% endif %}{% for m in messages %}{% if m.role == 'user' %}<U>{{ m.content }}{% else %}<A></think>{{ m.content.split('</think>')[-1] }}<|end|>{% endif %}{% endfor %}"
      "{% if add_generation_prompt %}<A>{% if thinking %}<think>{% else %}</think>{% endif %}{% endif %}", "v31");
  const RenderOptions options;
  const ReasoningForm form = reasoning_form(chat, options);
  EXPECT_EQ(form.variable, "thinking");
  EXPECT_TRUE(form.closed);
  const auto learned_from = [&](const char* answer) { return learned_turns(chat, form, Json::parse(std::string(R"([{"role":"user","content":"q"},{"role":"assistant",)") + answer + "}]"), options).at(0).text; };
  EXPECT_EQ(learned_from(R"("content":"a")"), "<U>q<A></think>a<|end|>");
  EXPECT_EQ(learned_from(R"("content":"a","reasoning_content":"why")"), "<U>q<A><think>why</think>a<|end|>");
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
