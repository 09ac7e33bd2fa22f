// Reviews of rows: decisions, edits, agreement, export, changed files.
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "serve/review/review.h"

namespace hone::serve {
namespace {

namespace fs = std::filesystem;

class ReviewTest : public ::testing::Test {
 protected:
  ReviewTest() {
    folder_ = fs::temp_directory_path() / fmt::format("hone-review-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~ReviewTest() override { fs::remove_all(folder_); }

  std::string path(const char* name) const { return (folder_ / name).string(); }
  std::string put(const char* name, const std::string& content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }
  static std::string line(const std::string& question, const std::string& answer) {
    return data::Json{{"messages", {{{"role", "user"}, {"content", question}}, {{"role", "assistant"}, {"content", answer}}}}, {"level", 3}}.dump() + "\n";
  }
  static data::Rows open(const std::string& file) {
    data::DatasetConfig dataset;
    dataset.path = file;
    return data::Rows({dataset}, data::parse_bad_row_limit("100%", "test"));
  }
  static Decision decision(const Review& review, uint32_t row, const char* who, Verdict verdict, const char* reason = "", Edits edits = {}) {
    return {review.key(row), who, verdict, std::move(edits), reason, ""};
  }
  std::vector<data::Json> lines(const char* name) const {
    std::vector<data::Json> out;
    std::ifstream in(path(name));
    for (std::string text; std::getline(in, text);) out.push_back(data::Json::parse(text));
    return out;
  }

  fs::path folder_;
};

TEST_F(ReviewTest, FieldsAndEdits) {
  const data::RowFormat format{data::Format::kMessages, {}};
  const data::Json row = data::Json::parse(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"a/b~":"x","n":[1,null]})");
  const auto fields = fields_of(row, format);
  ASSERT_EQ(fields.size(), 5u);
  EXPECT_EQ(fields[0].pointer, "/messages/0/content");
  EXPECT_EQ(fields[0].label, "user");
  EXPECT_EQ(fields[1].text, "a");
  EXPECT_EQ(fields[2].pointer, "/a~1b~0");
  EXPECT_FALSE(fields[3].editable);
  EXPECT_EQ(fields[4].text, "null");
  const data::Json edited = with_edits(row, {{"/messages/1/content", "b"}, {"/a~1b~0", "y"}}, format);
  EXPECT_EQ(edited["messages"][1]["content"], "b");
  EXPECT_EQ(edited["a/b~"], "y");
  for (const char* bad : {"/messages/0/role", "/n/0", "/none", "", "messages", "/messages/9/content"}) EXPECT_THROW(with_edits(row, {{bad, "x"}}, format), Error) << bad;
  EXPECT_THROW(with_edits(row, {{"/messages/1/content", ""}}, format), Error);  // an empty answer is no row
}

TEST_F(ReviewTest, TheMajorityDecides) {
  const auto outcome = [](std::vector<Verdict> verdicts) {
    std::vector<Decision> list;
    for (const Verdict v : verdicts) list.push_back({"", "", v, {}, "", ""});
    return outcome_of(list);
  };
  EXPECT_EQ(outcome({}), Outcome::kOpen);
  EXPECT_EQ(outcome({Verdict::kAccept}), Outcome::kAccepted);
  EXPECT_EQ(outcome({Verdict::kAccept, Verdict::kEdit}), Outcome::kEdited);
  EXPECT_EQ(outcome({Verdict::kAccept, Verdict::kReject}), Outcome::kDisputed);
  EXPECT_EQ(outcome({Verdict::kEdit, Verdict::kReject, Verdict::kReject}), Outcome::kRejected);
  EXPECT_EQ(outcome({Verdict::kEdit, Verdict::kReject, Verdict::kAccept}), Outcome::kEdited);
}

TEST_F(ReviewTest, DecisionsAreCheckedKeptAndExported) {
  const std::string content = line("1", "one") + line("1", "one") + "{broken\n" + line("2", "two") + line("3", "three") + line("4", "four");
  const std::string file = put("rows.jsonl", content);
  const data::Rows rows = open(file);
  ReviewStore store(path("state.db"));
  Review review(rows, store, false);
  EXPECT_NE(review.key(0), review.key(1));  // equal rows are decided one by one
  review.decide(0, decision(review, 0, "ann", Verdict::kAccept));
  review.decide(1, decision(review, 1, "ann", Verdict::kReject, "twice"));
  review.decide(3, decision(review, 3, "ann", Verdict::kEdit, "typo", {{"/messages/1/content", "TWO"}}));
  review.decide(3, decision(review, 3, "bob", Verdict::kAccept));
  review.decide(4, decision(review, 4, "ann", Verdict::kReject, "wrong"));
  review.decide(4, decision(review, 4, "bob", Verdict::kAccept));
  EXPECT_EQ(review.next("ann", 0), (Json{{"row", 5}, {"rows", 6}, {"decided", 4}}));
  EXPECT_EQ(review.next("ann", 5)["row"], 5u);
  EXPECT_EQ(review.next("bob", 2)["row"], 5u);
  EXPECT_EQ(review.next("bob", 3)["row"], 5u);
  EXPECT_EQ(review.next("eve", 2)["row"], 3u);
  EXPECT_THROW(review.decide(2, decision(review, 2, "ann", Verdict::kAccept)), Error);                  // malformed
  EXPECT_THROW(review.decide(9, decision(review, 0, "ann", Verdict::kAccept)), Error);                  // not there
  EXPECT_THROW(review.decide(0, decision(review, 1, "ann", Verdict::kAccept)), Error);                  // another row's key
  EXPECT_THROW(review.decide(0, decision(review, 0, "ann", Verdict::kReject)), Error);                  // no reason
  EXPECT_THROW(review.decide(0, decision(review, 0, "ann", Verdict::kEdit)), Error);                    // no edit
  EXPECT_THROW(review.decide(0, decision(review, 0, "ann", Verdict::kAccept, "", {{"/x", "y"}})), Error);
  EXPECT_EQ(store.history(), 6);

  EXPECT_TRUE(review.row(3, "eve")["others"].empty());  // nobody is swayed
  EXPECT_EQ(review.row(3, "bob")["others"][0]["edits"]["/messages/1/content"], "TWO");
  EXPECT_EQ(review.export_rows(path("out.jsonl"), {}), (ReviewExport{1, 1, 1, 1, 1, 1, 0}));
  const auto out = lines("out.jsonl");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0]["review"].size(), 1u);
  EXPECT_EQ(out[1]["messages"][1]["content"], "TWO");
  EXPECT_EQ(out[1]["level"], 3);
  EXPECT_EQ(out[1]["review"][0]["reviewer"], "ann");
  EXPECT_EQ(out[1]["review"][0]["reason"], "typo");
  EXPECT_EQ(out[1]["review"][1]["verdict"], "accept");
  EXPECT_EQ(out[1]["review"][0]["time"].get<std::string>().size(), 20u);
  EXPECT_EQ(read_file(file), content);

  // A later decision replaces the earlier one, which stays in the history.
  review.decide(0, decision(review, 0, "ann", Verdict::kWithdrawn));
  review.decide(4, decision(review, 4, "ann", Verdict::kAccept));
  EXPECT_EQ(store.history(), 8);
  EXPECT_EQ(review.export_rows(path("csv.csv"), {}), (ReviewExport{1, 1, 1, 0, 2, 1, 0}));

  // An export is reviewed again: who decided before stays in front.
  const data::Rows again = open(path("out.jsonl"));
  ReviewStore second(path("second.db"));
  Review later(again, second, false);
  later.decide(1, decision(later, 1, "eve", Verdict::kAccept));
  later.export_rows(path("again.jsonl"), {});
  EXPECT_EQ(lines("again.jsonl").at(0)["review"].size(), 3u);
  EXPECT_EQ(lines("again.jsonl").at(0)["review"][2]["reviewer"], "eve");
}

TEST_F(ReviewTest, Agreement) {
  const std::string file = put("rows.jsonl", line("1", "a") + line("2", "b") + line("3", "c") + line("4", "d"));
  const data::Rows rows = open(file);
  ReviewStore store(path("state.db"));
  Review review(rows, store, false);
  for (uint32_t row = 0; row < 4; ++row) {
    review.decide(row, decision(review, row, "ann", row < 2 ? Verdict::kAccept : Verdict::kReject, "r"));
    review.decide(row, decision(review, row, "bob", row < 3 ? Verdict::kAccept : Verdict::kReject, "r"));
  }
  const Json a = review.summary()["agreement"];
  EXPECT_EQ(a["rows"], 4);
  ASSERT_EQ(a["pairs"].size(), 1u);
  EXPECT_EQ(a["pairs"][0]["same"], 3);
  EXPECT_NEAR(a["pairs"][0]["cohen_kappa"].get<double>(), 0.5, 1e-12);            // observed 3/4, by chance 1/2
  EXPECT_NEAR(a["fleiss_kappa"].get<double>(), (0.75 - 34.0 / 64) / (30.0 / 64), 1e-12);  // shares 5/8 and 3/8
}

TEST_F(ReviewTest, AChangedFileIsRefusedUntilForced) {
  const std::string file = put("rows.jsonl", line("1", "a") + line("2", "b"));
  ReviewStore store(path("state.db"));
  {
    const data::Rows rows = open(file);
    Review review(rows, store, false);
    review.decide(0, decision(review, 0, "ann", Verdict::kAccept));
    review.decide(1, decision(review, 1, "ann", Verdict::kReject, "bad"));
    put("rows.jsonl", line("0", "new") + line("1", "x"));
    EXPECT_THROW(review.row(1, "ann"), Error);
  }
  put("rows.jsonl", line("0", "new") + line("1", "a"));
  const data::Rows rows = open(file);
  EXPECT_THROW(Review(rows, store, false), Error);
  Review review(rows, store, true);
  EXPECT_EQ(review.export_rows(path("out.jsonl"), {}), (ReviewExport{1, 0, 0, 0, 1, 0, 1}));
  EXPECT_EQ(lines("out.jsonl").at(0)["messages"][0]["content"], "1");  // the decision went with its row
  EXPECT_EQ(review.next("ann", 0), (Json{{"row", 0}, {"rows", 2}, {"decided", 1}}));  // without what was set aside
  review.decide(0, decision(review, 0, "ann", Verdict::kAccept));
  EXPECT_EQ(review.next("ann", 0), (Json{{"row", 2}, {"rows", 2}, {"decided", 2}}));
  EXPECT_NO_THROW(Review(rows, store, false));
}

TEST_F(ReviewTest, ReviewersAtOnceLoseNothing) {
  std::string content;
  for (int i = 0; i < 25; ++i) content += line(std::to_string(i), "answer");
  const std::string file = put("rows.jsonl", content);
  const data::Rows rows = open(file);
  ReviewStore store(path("state.db")), other(path("state.db"));  // the second as another process would
  Review review(rows, store, false), elsewhere(rows, other, false);
  std::vector<std::thread> people;
  for (int p = 0; p < 6; ++p)
    people.emplace_back([&, p] {
      const std::string who = fmt::format("p{}", p);
      Review& mine = p % 2 ? elsewhere : review;
      for (uint32_t row; (row = mine.next(who, 0)["row"].get<uint32_t>()) < rows.size();) {
        mine.decide(row, decision(mine, row, who.c_str(), (row + static_cast<uint32_t>(p)) % 3 ? Verdict::kAccept : Verdict::kReject, "why"));
        mine.summary();
      }
    });
  for (auto& person : people) person.join();
  EXPECT_EQ(store.history(), 150);
  const auto all = store.all();
  ASSERT_EQ(all.size(), 150u);
  for (uint32_t row = 0; row < rows.size(); ++row) {
    const auto list = store.of_row(review.key(row));
    ASSERT_EQ(list.size(), 6u);
    for (const Decision& d : list) EXPECT_EQ(d.verdict == Verdict::kAccept, (row + static_cast<uint32_t>(d.reviewer[1] - '0')) % 3 != 0);
  }
}

}  // namespace
}  // namespace hone::serve
