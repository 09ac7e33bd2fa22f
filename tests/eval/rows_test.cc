#include "eval/row_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"

namespace hone::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Rows : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) {
    const auto path = std::filesystem::path(testing::TempDir()) / (testing::UnitTest::GetInstance()->current_test_info()->name() + std::string("-") + name);
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  static std::string refusal(const std::filesystem::path& predictions, const std::vector<std::filesystem::path>& references) {
    try {
      RowReader reader(predictions, references);
      while (reader.next()) continue;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return error.where() + ": " + error.message();
    }
    return "accepted";
  }
};

TEST_F(Rows, TextLinesCountAlsoWhenEmpty) {
  RowReader reader(write("p.txt", "one\n\r\nthree"), {write("a.txt", "eins\nzwei\ndrei\n"), write("b.txt", "\n\nx\n")});
  const auto first = reader.next(), second = reader.next(), third = reader.next();
  ASSERT_TRUE(third);
  EXPECT_EQ(first->prediction, "one");
  EXPECT_THAT(first->references, ElementsAre("eins", ""));
  EXPECT_EQ(second->prediction, "");
  EXPECT_THAT(third->references, ElementsAre("drei", "x"));
  EXPECT_FALSE(reader.next());
}

TEST_F(Rows, JsonRowsMayBeTextsObjectsOrTags) {
  RowReader own(write("own.jsonl", "{\"prediction\":\"a\",\"references\":[\"b\",\"c\"]}\n\n{\"answer\":1,\"expected\":\"1\"}\n{\"tags\":[],\"expected_tags\":[]}\n"), {});
  EXPECT_THAT(own.next()->references, ElementsAre("b", "c"));
  EXPECT_EQ(own.next()->prediction, "1");
  EXPECT_TRUE(own.next()->tagged);
  EXPECT_FALSE(own.next());
  RowReader tags(write("t.jsonl", "[\"O\",\"B-X\"]\n"), {write("r.jsonl", "{\"tags\":[\"O\",\"O\"]}\n")});
  const auto row = tags.next();
  EXPECT_THAT(row->predicted_tags, ElementsAre("O", "B-X"));
  EXPECT_THAT(row->expected_tags, ElementsAre("O", "O"));
  EXPECT_TRUE(holds_tags(write("t2.jsonl", "[\"O\"]\n")));
  EXPECT_FALSE(holds_tags(write("t3.jsonl", "\"O\"\n")));
}

TEST_F(Rows, ErrorsNameTheLine) {
  const auto good = write("good.txt", "x\ny\n");
  EXPECT_THAT(refusal(write("a.jsonl", "\"x\"\n{\"prediction\":\n"), {good}), HasSubstr("a.jsonl:2"));
  EXPECT_THAT(refusal(write("b.jsonl", "{\"x\":1}\n"), {good}), HasSubstr("b.jsonl:1: the row has no prediction"));
  EXPECT_THAT(refusal(write("c.txt", "x\n"), {good}), HasSubstr("good.txt:2: there are more rows"));
  EXPECT_THAT(refusal(write("d.txt", "x\ny\nz\n"), {good}), HasSubstr("has fewer rows"));
  EXPECT_THAT(refusal(write("e.txt", "x\n\xFF\n"), {good}), HasSubstr("e.txt:2: byte 1 of the row is not UTF-8"));
  EXPECT_THAT(refusal(write("f.jsonl", "{\"prediction\":\"x\"}\n"), {}), HasSubstr("f.jsonl:1: the row has no reference"));
  EXPECT_THAT(refusal(good, {}), HasSubstr("needs a file of references"));
  EXPECT_THAT(refusal(write("g.csv", "x\n"), {good}), HasSubstr("expected a .txt or .jsonl file"));
  EXPECT_THAT(refusal(write("h.jsonl", "[[1]]\n"), {good}), HasSubstr("expected text, found array"));
  EXPECT_THAT(refusal(write("i.jsonl", "\"x\"},{\"row\":1\n"), {good}), HasSubstr("i.jsonl:1"));
}

TEST_F(Rows, FilesOfManyBlocksAreReadWhole) {
  std::string text;
  for (int i = 0; i < 60000; ++i) text += "row " + std::to_string(i) + "\n";
  const auto path = write("many.txt", text);
  RowReader reader(path, {path});
  int64_t rows = 0;
  while (const auto row = reader.next()) {
    ASSERT_EQ(row->prediction, "row " + std::to_string(rows));
    ASSERT_EQ(row->prediction, row->references[0]);
    ++rows;
  }
  EXPECT_EQ(rows, 60000);
}

ScoredRow text_row(const std::string& prediction, const std::vector<std::string>& references) {
  ScoredRow row;
  row.where = "row";
  row.prediction = prediction;
  row.references = references;
  return row;
}

TEST(CorpusScorer, ScoresRowsAndComparesModels) {
  const std::vector<std::string> metrics = {"bleu", "rouge", "exact_match", "labels"};
  CorpusScorer first(metrics, {}, "test"), second(metrics, {}, "test");
  for (int i = 0; i < 40; ++i) {
    const std::string expected = i % 2 ? "yes" : "no";
    first.add(text_row("yes", {expected}));
    EXPECT_EQ(second.add(text_row(expected + " ", {expected, "other"})).back(), 1);
  }
  const auto scores = second.scores({200, 0.95, 1});
  ASSERT_EQ(scores.size(), 9u);
  EXPECT_EQ(scores[0].setting, "nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp");
  EXPECT_EQ(scores[5].name, "exact_match");
  EXPECT_EQ(scores[5].value, 1);
  EXPECT_EQ(scores[5].interval->low, 1);
  EXPECT_NEAR(first.label_classes()->classes.at("yes").f1, 2.0 / 3, 1e-12);
  const auto differences = compare(first, second, {200, 0.95, 1});
  ASSERT_EQ(differences.size(), 7u);
  EXPECT_EQ(differences[5].test.difference, 0.5);
  EXPECT_LT(differences[5].test.p, 0.01);
  EXPECT_THROW(first.add(text_row("x", {})), Error);
  EXPECT_THROW(CorpusScorer({"blue"}, {}, "test"), Error);
}

}  // namespace
}  // namespace hone::eval
