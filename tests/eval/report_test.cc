#include "eval/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "eval/charts.h"

namespace hone::eval {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(OneScore, WeighsBothParts) {
  ScoreSettings settings;
  settings.metrics = {{"bleu", {3, 0, 50}}, {"perplexity", {1, 21, 1}}, {"unmeasured", {9, 0, 1}}};
  // BLEU 25 of 50 → 50 points, thrice; perplexity 6 between 21 and 1 → 75 points.
  const auto score = one_score({{"bleu", 25}, {"perplexity", 6}, {"uncounted", 7}}, 4.0, settings);
  ASSERT_TRUE(score);
  EXPECT_DOUBLE_EQ(*score->automatic, (3 * 50 + 75) / 4.0);
  EXPECT_DOUBLE_EQ(*score->human, 75);
  EXPECT_DOUBLE_EQ(score->points, 0.4 * 56.25 + 0.6 * 75);
  ASSERT_EQ(score->parts.size(), 3u);
  EXPECT_DOUBLE_EQ(score->parts[0].share, 0.3);
  EXPECT_DOUBLE_EQ(score->parts[1].share, 0.1);
  EXPECT_EQ(score->note, "");
}

TEST(OneScore, StandsOnOnePartWhenTheOtherIsMissing) {
  const ScoreSettings settings = ScoreSettings::standard();
  const auto automatic = one_score({{"bleu", 200}}, std::nullopt, settings);
  EXPECT_DOUBLE_EQ(automatic->points, 100);  // never beyond the ends
  EXPECT_THAT(automatic->note, HasSubstr("no human ratings"));
  EXPECT_DOUBLE_EQ(one_score({}, 1.0, settings)->points, 0);
  EXPECT_FALSE(one_score({}, std::nullopt, settings));
  ScoreSettings human_only = settings;
  human_only.automatic = 0;
  EXPECT_DOUBLE_EQ(one_score({{"bleu", 30}}, std::nullopt, human_only)->points, 30);
  EXPECT_DOUBLE_EQ(one_score({{"bleu", 30}}, 5.0, human_only)->points, 100);
}

Report sample() {
  Report report;
  report.title = "a <b> & \"c\"";
  report.rows = 3;
  for (const char* name : {"base", "tuned"}) {
    ModelReport& m = report.models.emplace_back();
    m.name = name;
    m.figures = {{"loss", 1.25}};
    m.scores = {{"bleu", "bleu", "tok:zh", 31.5, 100, Interval{20, 40}}, {"exact_match", "exact_match", "", 0.5, 1, std::nullopt}};
    m.one_score = one_score({{"bleu", 31.5}}, 4.5, ScoreSettings::standard());
  }
  report.weights = ScoreSettings::standard();
  report.comparisons = {{"bleu", 31.5, 31.5, 100, {}}};
  report.classes["x|y"] = {4, 1, 3, 2, 0};
  report.gained = {{"f:1", "<script>alert(1)</script>", "e\nf", "a", "b", 0, 50}};
  report.settings = {{"resamples", "1000"}};
  return report;
}

TEST(Report, EscapesEverythingInHtml) {
  const std::string html = report_html(sample());
  EXPECT_THAT(html, HasSubstr("<h1>a &lt;b&gt; &amp; &quot;c&quot;</h1>"));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, HasSubstr("<svg"));
  EXPECT_THAT(html, Not(HasSubstr("href=")));
  EXPECT_THAT(escape_html(std::string("a\0b\x1b", 4)), "a\xEF\xBF\xBD" "b\xEF\xBF\xBD");
}

TEST(Report, KeepsMarkdownTablesWhole) {
  const std::string markdown = report_markdown(sample());
  EXPECT_THAT(markdown, HasSubstr("| x\\|y | 4 | 25.0 % | 75.0 % | 2 | 0 |"));
  EXPECT_THAT(markdown, HasSubstr("| e<br>f |"));
  EXPECT_THAT(markdown, HasSubstr("31.50 [20.00, 40.00]"));
  EXPECT_THAT(markdown, Not(HasSubstr("<script")));
}

TEST(Report, HoldsEveryFigureAsJson) {
  const auto json = report_json(sample());
  EXPECT_EQ(json["models"][1]["scores"]["bleu"]["interval"][1], 40.0);
  EXPECT_EQ(json["classes"]["x|y"]["gained"], 2);
  EXPECT_EQ(json["weights"]["human"], 0.6);
  const auto figures = report_figures(sample());
  EXPECT_EQ(figures.at("bleu"), 31.5);
  EXPECT_EQ(figures.at("first.loss"), 1.25);
  EXPECT_TRUE(figures.contains("one_score"));
}

}  // namespace
}  // namespace hone::eval
