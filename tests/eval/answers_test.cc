#include "eval/answers.h"

#include <gtest/gtest.h>

namespace hone::eval {
namespace {

TEST(ScoreAnswers, ComparesTrimmedText) {
  const AnswerScores s = score_answers({" yes\n", "no"}, {"yes", "maybe"});
  EXPECT_DOUBLE_EQ(s.exact_match, 0.5);
  EXPECT_FALSE(s.json);
}

// What counts as white space is what the metric exact_match takes for it.
TEST(ScoreAnswers, TrimsUnicodeWhiteSpace) { EXPECT_DOUBLE_EQ(score_answers({"\u3000是\u00A0", "a"}, {"是", "a\u2003b"}).exact_match, 0.5); }

TEST(ScoreAnswers, DeepJsonHasNoFields) {
  const std::string deep = R"({"a": )" + std::string(300000, '[') + std::string(300000, ']') + "}";
  EXPECT_FALSE(score_answers({"x"}, {deep}).json);
  const AnswerScores s = score_answers({deep}, {R"({"a": []})"});
  EXPECT_TRUE(s.json);
  EXPECT_EQ(s.valid_json, 0);
  EXPECT_EQ(s.field_accuracy.at("a"), 0);
}

TEST(ScoreAnswers, LooksIntoJson) {
  const AnswerScores s = score_answers({R"({"level":"R1","dept":"A"})", R"({"level":"R1","dept":"B"})", "nonsense", R"({"level":"G3"})"},
                                       {R"({"level":"R1","dept":"A"})", R"({"level":"G3","dept":"B"})", R"({"level":"R1","dept":"A"})", R"({"level":"G3","dept":"A"})"});
  ASSERT_TRUE(s.json);
  EXPECT_DOUBLE_EQ(s.exact_match, 0.25);
  EXPECT_DOUBLE_EQ(s.valid_json, 0.5);
  EXPECT_DOUBLE_EQ(s.field_accuracy.at("level"), 0.5);
  EXPECT_DOUBLE_EQ(s.field_accuracy.at("dept"), 0.5);
  // level: R1 has 1 hit of 2 found and 2 expected (F1 0.5); G3 has 1 hit of 1 found and 2 expected (F1 2/3).
  EXPECT_NEAR(s.field_macro_f1.at("level"), (0.5 + 2.0 / 3) / 2, 1e-12);
  // dept: A has 1 hit of 1 found and 3 expected (F1 0.5); B has 1 of 1 and 1 (F1 1).
  EXPECT_NEAR(s.field_macro_f1.at("dept"), 0.75, 1e-12);
}

}  // namespace
}  // namespace hone::eval
