#include "base/text_encoding.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hone {
namespace {

TEST(TextEncoding, IsReadByTheMark) {
  using namespace std::string_literals;
  EXPECT_EQ(decoded_text("plain", "f"), "plain");
  EXPECT_EQ(decoded_text("\xef\xbb\xbf" "中", "f"), "中");
  EXPECT_EQ(decoded_text("\xff\xfe" "a\0\x2d\x4e"s, "f"), "a中");
  EXPECT_EQ(decoded_text("\xfe\xff\0a\x4e\x2d"s, "f"), "a中");
  EXPECT_EQ(decoded_text("\xff\xfe\x3d\xd8\x42\xde"s, "f"), "🙂");
  EXPECT_EQ(decoded_text("\xff\xfe"s, "f"), "");
  for (const std::string& broken : {"\xff\xfe" "a"s, "\xff\xfe\x3d\xd8"s, "\xff\xfe\x42\xde"s, "\xff\xfe\x3d\xd8" "a\0"s, "\xff\xfe\0\0a\0\0\0"s})
    EXPECT_THROW(decoded_text(broken, "f"), Error);
}

// However the bytes are cut up.
TEST(TextEncoding, DecodesInPieces) {
  using namespace std::string_literals;
  const std::string bytes = "\x3d\xd8\x42\xde" "a\0\x2d\x4e"s;
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Utf16Decoder decoder(/*big_endian=*/false, "f");
    std::string text;
    decoder.feed(std::string_view(bytes).substr(0, cut), text);
    decoder.feed(std::string_view(bytes).substr(cut), text);
    decoder.finish();
    EXPECT_EQ(text, "🙂a中");
  }
}

}  // namespace
}  // namespace hone
