#include "data/shared_system.h"

#include <gmock/gmock.h>

#include "data/data_fixture.h"

namespace hone::data {
namespace {

TEST(SystemTally, SaysWhatMostRowsHave) {
  SystemTally tally;
  EXPECT_FALSE(tally.most());
  for (int i = 0; i < 9; ++i) tally.add("be brief", 1);
  tally.add("", 1);
  ASSERT_TRUE(tally.most());
  EXPECT_EQ(tally.most()->text, "be brief");
  EXPECT_DOUBLE_EQ(tally.most()->share, 0.9);
  tally.add("", 90);  // a file that counts more
  EXPECT_FALSE(tally.most()) << "most rows have none";
}

TEST(SystemTally, IsBounded) {
  SystemTally tally;
  for (int i = 0; i < 5000; ++i) tally.add("row " + std::to_string(i), 1);
  for (int i = 0; i < 3; ++i) tally.add("row 7", 1);
  EXPECT_EQ(tally.most()->text, "row 7");
  EXPECT_DOUBLE_EQ(tally.most()->share, 4 / 5003.0);
}

TEST(SharedSystem, IsThatOfTheTrainingRows) {
  const TempFolder folder;
  std::string rows;
  for (int i = 0; i < 20; ++i) {
    const std::string system = i == 3 ? "" : R"({"role": "system", "content": "be brief"},)";
    rows += R"({"messages": [)" + system + R"({"role": "user", "content": "q)" + std::to_string(i) + R"("}, {"role": "assistant", "content": "a"}]})" + "\n";
  }
  DataConfig config;
  config.datasets.resize(1);
  config.datasets[0].path = folder.file("rows.jsonl", rows);
  config.validation.resize(1);
  config.validation[0].path = folder.file("held.jsonl", R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})");
  const auto shared = shared_system(config);
  ASSERT_TRUE(shared);
  EXPECT_EQ(shared->text, "be brief");
  EXPECT_DOUBLE_EQ(shared->share, 0.95);
}

}  // namespace
}  // namespace hone::data
