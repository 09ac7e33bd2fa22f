// The rating of answers: orders, blindness, what is kept, and what `hone eval --ratings` reads of it.
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "base/error.h"
#include "serve/rating/rating.h"

namespace hone::serve {
namespace {

namespace fs = std::filesystem;

class RatingTest : public ::testing::Test {
 protected:
  RatingTest() {
    folder_ = fs::temp_directory_path() / fmt::format("hone-rating-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~RatingTest() override { fs::remove_all(folder_); }

  static std::string line(int row, const std::string& answer, const char* key = "k", const std::string& prompt = "") {
    return Json{{"where", fmt::format("rows.jsonl:{}", row)}, {"prompt", prompt.empty() ? fmt::format("question {}", row) : prompt}, {"expected", "e"}, {"answer", answer}, {"key", key}}.dump() + "\n";
  }
  void put(const char* name, const std::string& content) const { std::ofstream(folder_ / name, std::ios::binary) << content; }
  void put_two_models(int rows) const {
    std::string base, tuned;
    for (int row = rows; row >= 1; --row) base += line(row, fmt::format("base {}", row)), tuned += line(row, fmt::format("tuned {}", row));
    put("answers-base.jsonl", base);
    put("answers-tuned.jsonl", tuned);
  }

  fs::path folder_;
};

TEST_F(RatingTest, TheLastEvaluationOfEachFileCounts) {
  put("answers-base.jsonl", line(10, "old", "before") + line(10, "ten") + line(2, "two") + line(2, "two again") + R"({"where": "torn)");
  put("answers-tuned.jsonl", line(2, "TWO") + line(30, "THIRTY"));
  const RatingTask task = read_rating_task({folder_});
  EXPECT_EQ(task.models, (std::vector<std::string>{"base", "tuned"}));
  ASSERT_EQ(task.items.size(), 3u);  // in order of lines, as numbers
  EXPECT_EQ(task.items[0].answers[0].text, "two again");
  EXPECT_EQ(task.items[1].answers[0].text, "ten");
  EXPECT_EQ(task.items[2].answers[0].model, 1);
  EXPECT_EQ(task.single.size(), 4u);
  EXPECT_EQ(task.pairs.size(), 1u);
  EXPECT_EQ(task.older, 2);
  EXPECT_THROW(read_rating_task({folder_, folder_ / "answers-base.jsonl"}), Error);  // one model twice
  EXPECT_THROW(read_rating_task({folder_ / "none"}), Error);
  put("answers-tuned.jsonl", line(2, "TWO", "k", "another question"));
  EXPECT_THROW(read_rating_task({folder_}), Error);
  for (const char* bad : {"{\"where\": \"a:1\"}\n", "{\n", "[]\n", "{\"where\": \"a:1\", \"prompt\": \"p\", \"answer\": 3}\n"}) {
    put("answers-tuned.jsonl", bad);
    EXPECT_THROW(read_rating_task({folder_}), Error) << bad;
  }
}

TEST_F(RatingTest, EveryRaterHasAnOrderOfTheirOwn) {
  const auto order = [](uint64_t seed, const char* rater, bool pairwise) {
    std::vector<uint64_t> units;
    for (uint64_t i = 0; i < 50; ++i) units.push_back(present(seed, rater, pairwise, 50, i).unit);
    return units;
  };
  const auto ann = order(1, "ann", false);
  EXPECT_EQ(std::set<uint64_t>(ann.begin(), ann.end()).size(), 50u);
  EXPECT_EQ(ann, order(1, "ann", false));
  EXPECT_NE(ann, order(1, "bob", false));
  EXPECT_NE(ann, order(2, "ann", false));
  int swapped = 0;
  for (uint64_t i = 0; i < 200; ++i) swapped += present(1, "ann", true, 200, i).swapped;
  EXPECT_GT(swapped, 60);
  EXPECT_LT(swapped, 140);
}

TEST_F(RatingTest, RatersAtOnceLoseNothingAndTheFileIsReadBack) {
  put_two_models(6);
  const RatingTask task = read_rating_task({folder_});
  RatingDesk desk(task, folder_ / "people.db", folder_ / "people.json", 7, false);
  const auto grade = [](const std::string& text, int d) { return 1 + static_cast<int>(text.size() + static_cast<size_t>(text.back()) + static_cast<size_t>(d)) % 5; };
  std::vector<std::thread> people;
  for (int p = 0; p < 4; ++p)
    people.emplace_back([&, p] {
      const std::string who = fmt::format("p{}", p);
      for (const bool pairwise : {false, true})
        for (;;) {
          const Json next = desk.next(who, pairwise, 0);
          if (next["position"] == next["of"]) break;
          const auto position = next["position"].get<uint64_t>();
          const Json unit = desk.unit(who, pairwise, position);
          if (pairwise) desk.prefer(who, position, unit["content"], unit["answers"][0].get<std::string>().starts_with("tuned") ? 0 : 1);
          else desk.rate(who, position, unit["content"], {grade(unit["answers"][0], 0), grade(unit["answers"][0], 1), grade(unit["answers"][0], 2)});
        }
    });
  for (auto& person : people) person.join();
  const eval::RatingSet set = eval::read_ratings(folder_ / "people.json");
  EXPECT_EQ(set.ratings, desk.ratings().ratings);
  EXPECT_EQ(set.preferences, desk.ratings().preferences);
  ASSERT_EQ(set.ratings.size(), 48u);
  ASSERT_EQ(set.preferences.size(), 24u);
  for (const auto& r : set.ratings) EXPECT_EQ(r.values[1], grade(r.model + " " + r.item, 1));
  for (const auto& p : set.preferences) EXPECT_EQ(p.winner, "tuned");
  EXPECT_EQ(desk.summary()["dimensions"][0]["krippendorff_alpha"], 1.0);
  EXPECT_EQ(desk.summary()["raters"].size(), 4u);
  EXPECT_EQ(desk.summary().dump().find("tuned"), std::string::npos);  // no model is named to raters

  // A second thought replaces the first.
  const Json unit = desk.unit("p0", false, 3);
  EXPECT_FALSE(unit["own"].is_null());
  EXPECT_TRUE(unit["expected"].is_null());
  desk.rate("p0", 3, unit["content"], {1, 2, 3});
  EXPECT_EQ(desk.unit("p0", false, 3)["own"], (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(eval::read_ratings(folder_ / "people.json").ratings.size(), 48u);
  EXPECT_THROW(desk.rate("p0", 3, unit["content"], {0, 2, 3}), Error);
  EXPECT_THROW(desk.rate("p0", 3, "other", {1, 2, 3}), Error);
  EXPECT_THROW(desk.rate("p0", 12, unit["content"], {1, 2, 3}), Error);
}

TEST_F(RatingTest, RatingsOfTextsThatChangedDoNotCount) {
  put_two_models(2);
  {
    const RatingTask task = read_rating_task({folder_});
    RatingDesk desk(task, folder_ / "people.db", folder_ / "people.json", 7, true);
    for (uint64_t position = 0; position < 4; ++position) desk.rate("ann", position, desk.unit("ann", false, position)["content"], {3, 3, 3});
  }
  put("answers-tuned.jsonl", line(1, "tuned 1") + line(2, "better"));
  const RatingTask task = read_rating_task({folder_});
  const RatingDesk desk(task, folder_ / "people.db", folder_ / "people.json", 7, true);
  EXPECT_EQ(eval::read_ratings(folder_ / "people.json").ratings.size(), 3u);
  const auto position = desk.next("ann", false, 0)["position"].get<uint64_t>();
  EXPECT_EQ(desk.unit("ann", false, position)["answers"][0], "better");
  EXPECT_EQ(desk.unit("ann", false, position)["expected"], "e");
}

}  // namespace
}  // namespace hone::serve
