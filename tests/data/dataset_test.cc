// What is counted and told of one file.
#include "data/dataset.h"

#include <gmock/gmock.h>

#include "data/report_notes.h"
#include "data_fixture.h"

namespace hone::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string pair_line(const std::string& prompt, const std::string& more = "") { return "{\"prompt\":\"" + prompt + "\",\"completion\":\"c\"" + more + "}\n"; }

TEST(Dataset, CountsTheRowsThatAreTrainedOn) {
  TempFolder folder;
  DataConfig config;
  config.max_bad_rows = parse_bad_row_limit("2", "x");
  DatasetConfig file;
  file.path = folder.file("rows.jsonl", pair_line("a") + "{]\n" + pair_line("b", ",\"mood\":1") + pair_line("") + pair_line("c", ",\"mood\":2,\"id\":7"));
  Dataset dataset(file, config, 0, false);
  EXPECT_EQ(dataset.rows(), 5u);
  EXPECT_EQ(dataset.report().training_rows, 3);
  EXPECT_THAT(notes_of(dataset.report(), 1),
              ElementsAre(HasSubstr("left out 1 × bad JSON, 1 × empty prompt"), HasSubstr("rows.jsonl:2: bad JSON"), HasSubstr("1 rows more"), HasSubstr("not read: mood (2 rows)")));
  dataset.record(2, RowIssue{ProblemKind::kTooLong, "too long"});
  EXPECT_EQ(dataset.report().training_rows, 2) << "a row that its length drops is not trained on";
}

TEST(Dataset, TellsOfTurnsOutOfOrder) {
  TempFolder folder;
  DatasetConfig file;
  file.path = folder.file("rows.jsonl", R"({"conversations":[{"from":"gpt","value":"h"},{"from":"human","value":"q"},{"from":"human","value":"r"},{"from":"gpt","value":"a"},{"from":"human","value":"b"}]})" "\n");
  DataConfig config;
  EXPECT_THAT(notes_of(Dataset(file, config, 0, false).report()), ElementsAre(HasSubstr("before any user: kept, and learned (data.leading_assistant)"), HasSubstr("cut off (data.trailing_turns)"), HasSubstr("kept (data.repeated_turns)")));
  config.turns.repeated_turns = RepeatedTurns::kDrop;
  const Dataset dropped(file, config, 0, false);
  EXPECT_EQ(dropped.report().training_rows, 0);
  EXPECT_THAT(notes_of(dropped.report()).front(), HasSubstr("1 × order of turns"));
}

TEST(Dataset, TakesTheFirstRows) {
  TempFolder folder;
  for (const std::string& text : {pair_line("a") + pair_line("b") + pair_line("c"), std::string("prompt,completion\na,c\nb,c\nc,c\n")}) {
    DatasetConfig file;
    file.path = folder.file(text[0] == '{' ? "rows.jsonl" : "rows.csv", text);
    DataConfig config;
    config.max_rows = 2;
    Dataset dataset(file, config, 0, false);
    EXPECT_EQ(dataset.rows(), 2u);
    Example example;
    EXPECT_FALSE(dataset.read(1, example));
    EXPECT_EQ(example.prompt, "b");
    folder.file(text[0] == '{' ? "rows.jsonl" : "rows.csv", text);
    dataset.check_unchanged();  // touched only
    file.max_rows = 1;
    EXPECT_EQ(Dataset(file, config, 0, false).rows(), 1u) << "the file's own number counts";
  }
}

}  // namespace
}  // namespace hone::data
