#include "eval/ratings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"

namespace hone::eval {
namespace {

using testing::HasSubstr;

class RatingFiles : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) {
    const auto path = std::filesystem::path(testing::TempDir()) / (testing::UnitTest::GetInstance()->current_test_info()->name() + name);
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  std::string refusal(const std::string& name, const std::string& text) {
    try {
      read_ratings(write(name, text));
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return error.where() + ": " + error.message();
    }
    return "accepted";
  }
};

TEST_F(RatingFiles, AreReadFromEveryForm) {
  const auto csv = read_ratings(write("r.csv", "item,rater,relevance,fluency,professionalism,model\r\n1,ann,5,4,,base\n\"2, b\",bob,1,,3,\n"));
  const std::vector<Rating> expected = {{"1", "base", "ann", {5, 4, 0}}, {"2, b", "", "bob", {1, 0, 3}}};
  EXPECT_EQ(csv.ratings, expected);
  EXPECT_EQ(read_ratings(write("r.tsv", "item\trater\tfluency\nx\ty\t2\n")).ratings[0], (Rating{"x", "", "y", {0, 2, 0}}));
  EXPECT_EQ(read_ratings(write("r.jsonl", "{\"item\":1,\"rater\":\"ann\",\"model\":\"base\",\"relevance\":5,\"fluency\":4}\n")).ratings[0], expected[0]);
  EXPECT_EQ(read_ratings(write("r.json", "[{\"item\":\"1\",\"rater\":\"ann\",\"model\":\"base\",\"relevance\":5,\"fluency\":4}]")).ratings[0], expected[0]);
  const auto pairs = read_ratings(write("p.csv", "item,rater,model_a,model_b,winner\n1,ann,base,tuned,b\n1,bob,tuned,base,tie\n2,ann,base,tuned,base\n"));
  ASSERT_EQ(pairs.preferences.size(), 3u);
  EXPECT_EQ(pairs.preferences[0].winner, "tuned");
}

TEST_F(RatingFiles, ComeBackAsTheyWereWritten) {
  RatingSet set;
  set.ratings = {{"a,\"b\"\nc", "m", "ann", {1, 5, 0}}, {"2", "", "鲍勃", {3, 3, 3}}};
  set.preferences = {{"1", "ann", "base", "tuned", "tie"}, {"x;y", "bob", "base", "tuned", "tuned"}};
  const RatingSet json = read_ratings(write("x.json", ratings_json(set)));
  EXPECT_EQ(json.ratings, set.ratings);
  EXPECT_EQ(json.preferences, set.preferences);
  EXPECT_EQ(read_ratings(write("x.csv", ratings_csv(set.ratings))).ratings, set.ratings);
  EXPECT_EQ(read_ratings(write("y.csv", preferences_csv(set.preferences))).preferences, set.preferences);
}

TEST_F(RatingFiles, NameTheLineOfWhatIsWrong) {
  EXPECT_THAT(refusal("a.csv", "item,rater,relevance\n1,ann,5\n2,ann,6\n"), HasSubstr(".csv:3: relevance: expected a whole number from 1 to 5, found \"6\""));
  EXPECT_THAT(refusal("b.csv", "item,rater,relevance\n1,,5\n"), HasSubstr(".csv:2: rater is missing"));
  EXPECT_THAT(refusal("c.csv", "item,rater,relevance\n1,ann,5\n1,ann,4\n"), HasSubstr(".csv:3: ann has rated item 1 before"));
  EXPECT_THAT(refusal("d.csv", "row,rater\n1,ann\n"), HasSubstr("no column \"item\""));
  EXPECT_THAT(refusal("e.csv", "item,rater,relevance\n1,ann,5,7\n"), HasSubstr(".csv:2"));
  EXPECT_THAT(refusal("f.jsonl", "{\"item\":\"1\",\"rater\":\"ann\",\"fluency\":3}\n{\"item\":"), HasSubstr(".jsonl:2"));
  EXPECT_THAT(refusal("g.json", "[{\"item\":\"1\",\"rater\":\"ann\",\"fluency\":2.5}]"), HasSubstr("entry 1: fluency"));
  EXPECT_THAT(refusal("h.json", "{\"rating\":[]}"), HasSubstr("expected an array of ratings"));
  EXPECT_THAT(refusal("i.csv", "item,rater,model_a,model_b,winner\n1,ann,x,x,a\n"), HasSubstr("both \"x\""));
  EXPECT_THAT(refusal("j.csv", "item,rater,model_a,model_b,winner\n1,ann,x,y,z\n"), HasSubstr("found \"z\""));
  EXPECT_THAT(refusal("k.csv", "item,rater,relevance\n"), HasSubstr("holds no rating"));
  EXPECT_THAT(refusal("l.csv", "item,rater,relevance\n1,ann,\n"), HasSubstr("none of relevance"));
}

TEST(Ratings, AreSummarised) {
  const std::vector<Rating> ratings = {{"1", "base", "ann", {1, 2, 0}}, {"1", "base", "bob", {3, 2, 0}}, {"2", "base", "ann", {5, 4, 0}}, {"1", "tuned", "ann", {5, 5, 5}}};
  const RatingSummary s = summarize(ratings, "base");
  EXPECT_EQ(s.items, 2);
  EXPECT_EQ(s.raters, 2);
  EXPECT_DOUBLE_EQ(s.dimensions[0].mean, 3);
  EXPECT_EQ(s.dimensions[0].histogram, (std::array<int64_t, 5>{1, 0, 1, 0, 1}));
  EXPECT_EQ(s.dimensions[2].ratings, 0);
  EXPECT_FALSE(s.dimensions[2].alpha_ordinal);
  // Item 1: relevance 2 and fluency 2; item 2: 5 and 4, relevance counting three times as much.
  const auto means = item_means(ratings, "base", {3, 1, 1});
  EXPECT_DOUBLE_EQ(means.at("1"), 2);
  EXPECT_DOUBLE_EQ(means.at("2"), (3 * 5 + 4) / 4.0);
}

TEST(Preferences, AreSummarisedWhicheverSideAModelWasShownOn) {
  const auto s = summarize(std::vector<Preference>{{"1", "ann", "base", "tuned", "tuned"}, {"1", "bob", "tuned", "base", "tuned"}, {"2", "ann", "tuned", "base", "base"}, {"2", "bob", "base", "tuned", "tie"}});
  ASSERT_EQ(s.size(), 1u);
  EXPECT_EQ(s[0].first, "base");
  EXPECT_EQ(s[0].first_wins, 1);
  EXPECT_EQ(s[0].second_wins, 2);
  EXPECT_EQ(s[0].ties, 1);
  EXPECT_DOUBLE_EQ(s[0].win_rate, 2.5 / 4);
  EXPECT_DOUBLE_EQ(s[0].p, 1);
  ASSERT_TRUE(s[0].fleiss);
  // Observed 1/2; chance (1/4)² + (1/2)² + (1/4)² = 3/8.
  EXPECT_NEAR(*s[0].fleiss, (0.5 - 0.375) / (1 - 0.375), 1e-12);
}

// Who judged another pair of models leaves no gap in this one's table.
TEST(Preferences, AgreementIsOfThePairsOwnRaters) {
  const std::vector<Preference> pair = {{"1", "ann", "a", "b", "a"}, {"1", "bob", "a", "b", "a"}, {"2", "ann", "a", "b", "b"}, {"2", "bob", "a", "b", "tie"}};
  std::vector<Preference> both = pair;
  both.push_back({"1", "cleo", "a", "c", "c"});
  both.push_back({"1", "dora", "a", "c", "c"});
  const auto alone = summarize(pair), beside = summarize(both);
  ASSERT_EQ(beside.size(), 2u);
  ASSERT_TRUE(alone[0].fleiss && beside[0].fleiss);
  EXPECT_DOUBLE_EQ(*beside[0].fleiss, *alone[0].fleiss);
}

}  // namespace
}  // namespace hone::eval
