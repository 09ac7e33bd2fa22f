// The result in a sentence, and what people's scores stand on.
#include "recipes/evaluation_report.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace hone::recipes {
namespace {

using testing::HasSubstr;

eval::Rating rated(const std::string& item, const std::string& model, const std::string& rater, int value) {
  eval::Rating r;
  r.item = item;
  r.model = model;
  r.rater = rater;
  r.values = {value, value, value};
  return r;
}

// Four rows: the tuned model is right everywhere, the base in the last row.
eval::Report report_of(const std::vector<eval::Rating>& ratings) {
  const Config config = parse_config("eval: {bootstrap_samples: 0}", "test", {});
  eval::RatingSet set;
  set.ratings = ratings;
  ReportBuilder builder(config, {"exact_match"}, {"base", "tuned"}, set, "ratings.csv");
  for (int i = 1; i <= 4; ++i) {
    std::vector<eval::ScoredRow> rows(2);
    for (eval::ScoredRow& row : rows) {
      row.where = fmt::format("rows.jsonl:{}", i);
      row.id = std::to_string(i);
      row.references = {"yes"};
    }
    rows[0].prediction = i == 4 ? "yes" : "no";
    rows[1].prediction = "yes";
    builder.add(std::move(rows), "?");
  }
  return builder.finish("title", {{{"loss", 3.741}}, {{"loss", 1.349}}});
}

TEST(EvaluationReport, SaysTheResultInASentence) {
  const eval::Report report = report_of({});
  EXPECT_EQ(eval::summary(report), "tuned against base: loss 3.74 → 1.35, exact match 25.0 → 100.0 %, better on 3 of 4 rows");
  EXPECT_THAT(eval::report_html(report), HasSubstr("<p class=\"result\">tuned against base: loss 3.74 → 1.35,"));
  EXPECT_THAT(eval::report_markdown(report), HasSubstr("# title\n\n**tuned against base: loss 3.74 → 1.35,"));
  EXPECT_THAT(report.models[1].one_score->note, HasSubstr("no human ratings"));
}

TEST(EvaluationReport, PeopleCountOverWhatWasRatedForBoth) {
  // Of the tuned model's answers the bad one was rated for it alone.
  const eval::Report report = report_of({rated("1", "base", "ann", 2), rated("2", "base", "ann", 2), rated("1", "tuned", "ann", 4), rated("2", "tuned", "bob", 4), rated("3", "tuned", "bob", 1)});
  EXPECT_DOUBLE_EQ(*report.models[0].one_score->human, eval::human_points(2));
  EXPECT_DOUBLE_EQ(*report.models[1].one_score->human, eval::human_points(4));
  EXPECT_EQ(report.models[0].people, "2 of 4 answers (rated for both models), 1 rater");
  EXPECT_EQ(report.models[1].people, "2 of 4 answers (rated for both models), 2 raters");
  EXPECT_EQ(report.models[1].one_score->note, "");
}

TEST(EvaluationReport, WarnsWhereScoresDoNotCompare) {
  const eval::Report apart = report_of({rated("1", "base", "ann", 2), rated("3", "tuned", "ann", 5)});
  for (const eval::ModelReport& m : apart.models) {
    EXPECT_EQ(m.people, "1 of 4 answers, 1 rater");
    EXPECT_THAT(m.one_score->note, HasSubstr("do not compare"));
  }
  const eval::Report alone = report_of({rated("3", "tuned", "ann", 5)});
  for (const eval::ModelReport& m : alone.models) EXPECT_THAT(m.one_score->note, HasSubstr("people rated tuned alone"));
  EXPECT_EQ(alone.models[0].people, "");
}

}  // namespace
}  // namespace hone::recipes
