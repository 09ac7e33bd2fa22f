#include "text/columns.h"

#include <gmock/gmock.h>

namespace hone::text {
namespace {

TEST(Columns, CountsWhatTerminalsDraw) {
  EXPECT_EQ(columns("loss 1.5"), 8);
  EXPECT_EQ(columns("训练"), 4);
  EXPECT_EQ(columns("e\xCC\x81"), 1);           // e and a combining acute
  EXPECT_EQ(columns("🙂"), 2);
  EXPECT_EQ(columns("\x1b[32mgreen\x1b[0m"), 5);
  EXPECT_EQ(columns("\xff"), 1);
  EXPECT_EQ(columns(""), 0);
}

TEST(Wrapped, BreaksAtWordsAndHangs) {
  EXPECT_EQ(wrapped("note  one two three", 12, 4), "note  one\n    two\n    three");
  EXPECT_EQ(wrapped("fits", 4, 2), "fits");
  EXPECT_EQ(wrapped("as it is, however long", 0, 2), "as it is, however long");
  EXPECT_EQ(wrapped("    leading spaces stay", 12, 4), "    leading\n    spaces\n    stay");
  EXPECT_EQ(wrapped("two\nlines of it", 10, 2), "two\n  lines of\n  it");
  EXPECT_EQ(wrapped("", 10, 2), "");
  EXPECT_EQ(wrapped("accuracy of 48.7 % here", 16, 2), "accuracy of\n  48.7 % here");
}

TEST(Wrapped, CountsWideCharactersTwiceAndBreaksBesideThem) {
  EXPECT_EQ(wrapped("步骤 数据检查完成", 10, 2), "步骤 数据\n  检查完成");
  EXPECT_EQ(wrapped("数据检查完成。", 12, 0), "数据检查完\n成。");  // the full stop begins no line
}

TEST(Wrapped, LeavesWordsWholeThatFitNowhere) {
  const std::string address = "http://127.0.0.1:6060/#token=0123456789abcdef";
  EXPECT_EQ(wrapped("panel     " + address, 30, 10), "panel     " + address);
  EXPECT_EQ(wrapped("in " + address + " it is", 30, 2), "in " + address + " it is");
}

TEST(Fitted, LeavesOutTheHighestRankFirst) {
  const std::vector<LineField> fields = {{0, "step 1/9"}, {0, "loss 1.5"}, {1, "smoothed 1.6"}, {3, "grad 2"}, {2, "9 tok/s"}, {0, "3s left"}};
  EXPECT_EQ(fitted(fields, 0), "step 1/9  loss 1.5  smoothed 1.6  grad 2  9 tok/s  3s left");
  EXPECT_EQ(fitted(fields, columns(fitted(fields, 0))), fitted(fields, 0));
  EXPECT_EQ(fitted(fields, 50), "step 1/9  loss 1.5  smoothed 1.6  9 tok/s  3s left");
  EXPECT_EQ(fitted(fields, 41), "step 1/9  loss 1.5  smoothed 1.6  3s left");
  EXPECT_EQ(fitted(fields, 30), "step 1/9  loss 1.5  3s left");
  EXPECT_EQ(fitted(fields, 20), "step 1/9  loss 1.5 …");
  for (int64_t width = 1; width < 80; ++width) EXPECT_LE(columns(fitted(fields, width)), width);
  EXPECT_EQ(fitted({{0, "训练训练"}}, 6), "训练…");
}

}  // namespace
}  // namespace hone::text
