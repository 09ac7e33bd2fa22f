// The quick JSON reader against the library it stands in for: whatever it accepts is what Json::parse makes of it.
#include "data/plain_json.h"

#include <gtest/gtest.h>

#include <string>

#include "base/rng.h"

namespace hone::data {
namespace {

// A random document; now and then with unusual spacing, escapes and numbers.
class Writer {
 public:
  explicit Writer(uint64_t seed) : rng_{seed, 0, 0} {}

  std::string value(int depth) {
    switch (pick(depth > 4 ? 5 : 7)) {
      case 0: return "true";
      case 1: return pick(2) ? "null" : "false";
      case 2: return number();
      case 3:
      case 4: return string();
      case 5: {
        std::string text = "[";
        for (uint64_t i = 0, n = pick(4); i < n; ++i) text += (i ? "," : "") + space() + value(depth + 1) + space();
        return text + "]";
      }
      default: {
        std::string text = "{";
        for (uint64_t i = 0, n = pick(4); i < n; ++i) text += (i ? "," : "") + space() + string() + space() + ":" + space() + value(depth + 1);
        return text + space() + "}";
      }
    }
  }
  uint64_t pick(uint64_t n) { return rng_.below(index_++, n); }

 private:
  std::string space() { return pick(3) ? "" : pick(2) ? " " : "\t\r\n"; }
  std::string number() {
    static const char* numbers[] = {"0", "-0", "7", "-12", "123456789012345678", "18446744073709551615", "9223372036854775807", "-9223372036854775808", "1.5", "1e3", "01", "-"};
    return numbers[pick(12)];
  }
  std::string string() {
    static const char* parts[] = {"a", "role", "content with words", "数字", "\\n", "\\\"", "\\\\", "\\/", "\\u4e2d", "\\ud83d\\ude00", "\\ud83d", "\\udead", "\x7f", "é", "\\x", "\x01"};
    std::string text = "\"";
    for (uint64_t i = 0, n = pick(6); i < n; ++i) text += parts[pick(pick(3) ? 10 : 16)];
    return text + "\"";
  }
  Rng rng_;
  uint64_t index_ = 0;
};

TEST(PlainJson, AgreesWithTheLibrary) {
  int accepted = 0;
  for (uint64_t seed = 1; seed <= 20000; ++seed) {
    Writer writer(seed);
    std::string text = writer.value(0);
    if (writer.pick(4) == 0 && !text.empty()) text.erase(writer.pick(text.size()), 1);
    if (valid_utf8(text) != text.size()) continue;
    Json quick;
    if (!read_plain_json(text, 64, quick)) continue;
    ++accepted;
    const Json slow = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    ASSERT_FALSE(slow.is_discarded()) << text;
    ASSERT_EQ(quick, slow) << text;
    ASSERT_EQ(quick.dump(), slow.dump()) << text;
    ASSERT_EQ(quick.type(), slow.type()) << text;
  }
  EXPECT_GT(accepted, 8000);  // it would prove nothing if it declined
}

TEST(PlainJson, TakesOrdinaryRows) {
  Json row;
  EXPECT_TRUE(read_plain_json(R"({"messages": [{"role": "user", "content": "a\nb \"c\" \u4e2d"}], "n": 3, "m": -4, "x": null})", 64, row));
  EXPECT_EQ(row["messages"][0]["content"], "a\nb \"c\" 中");
  EXPECT_TRUE(row["n"].is_number_unsigned());
}

TEST(PlainJson, LeavesTheRestToTheLibrary) {
  Json row;
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,\"a\":2}", "1.5", "\"\\ud800\"", "\"a", "nul", "{} x", "\"\x01\"", "[[[]]]", "01", "-"})
    EXPECT_FALSE(read_plain_json(text, 2, row)) << text;
}

}  // namespace
}  // namespace hone::data
