#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "data/quality/encoding_hints.h"
#include "data/quality/language.h"
#include "data/quality/pii.h"

namespace hone::data {
namespace {

// "kind:text" of every hint.
std::vector<std::string> hints(std::string_view text) {
  std::vector<std::string> found;
  for (const PiiHint& hint : find_pii(text)) found.push_back(std::string(name(hint.kind)) + ":" + std::string(text.substr(hint.begin, hint.end - hint.begin)));
  return found;
}
using Found = std::vector<std::string>;

TEST(Luhn, CheckDigit) {
  EXPECT_TRUE(passes_luhn("4111111111111111"));
  EXPECT_TRUE(passes_luhn("79927398713"));
  for (const char* wrong : {"79927398710", "79927398711", "79927398712", "79927398714", "4111111111111112", ""}) EXPECT_FALSE(passes_luhn(wrong)) << wrong;
}

TEST(ResidentId, CheckDigitAndDate) {
  EXPECT_TRUE(is_resident_id("11010519491231002X"));
  EXPECT_TRUE(is_resident_id("11010519491231002x"));
  EXPECT_TRUE(is_resident_id("440524188001010014") == false) << "born in 1880";
  int right = 0;
  for (const char last : std::string("0123456789X")) right += is_resident_id(std::string("11010519491231002") + last);
  EXPECT_EQ(right, 1) << "exactly one check digit is right";
  EXPECT_FALSE(is_resident_id("110105194913310029")) << "month 13";
  EXPECT_FALSE(is_resident_id("1101051949123100"));
}

TEST(Pii, Email) {
  EXPECT_EQ(hints("write to anna.b+x@mail.example.org."), Found{"email:anna.b+x@mail.example.org"});
  EXPECT_EQ(hints("联系邮箱：li@qq.com，谢谢"), Found{"email:li@qq.com"});
  for (const char* none : {"a @ b", "@user said", "x@y", "price@3.50", "@@@"}) EXPECT_EQ(hints(none), Found{}) << none;
}

TEST(Pii, Phone) {
  EXPECT_EQ(hints("电话13812345678。"), Found{"phone:13812345678"});
  EXPECT_EQ(hints("138-1234-5678"), Found{"phone:138-1234-5678"});
  EXPECT_EQ(hints("+86 138 1234 5678"), Found{"phone:+86 138 1234 5678"});
  EXPECT_EQ(hints("call +44 20 7946 0958 now"), Found{"phone:+44 20 7946 0958"});
  EXPECT_EQ(hints("(212) 555-0100"), Found{"phone:(212) 555-0100"});
  EXPECT_EQ(hints("010-62345678"), Found{"phone:010-62345678"});
  for (const char* none : {"1234567", "in 2024 we sold 12345678901 pieces", "3.14159265358", "x13812345678", "12812345678", "2020-01-02", "1 2 3 4 5 6 7 8 9 10 11"}) EXPECT_EQ(hints(none), Found{}) << none;
}

TEST(Pii, NumbersWithCheckDigits) {
  EXPECT_EQ(hints("身份证号11010519491231002X。"), Found{"resident_id:11010519491231002X"});
  EXPECT_EQ(hints("卡号 6222 0212 3456 7890 127"), Found{}) << "fails Luhn";
  EXPECT_EQ(hints("card 4111 1111 1111 1111"), Found{"bank_card:4111 1111 1111 1111"});
  EXPECT_EQ(hints("4111-1111-1111-1111"), Found{"bank_card:4111-1111-1111-1111"});
  EXPECT_EQ(hints("4111111111111112"), Found{});
  EXPECT_EQ(hints("0000000000000000"), Found{});
}

TEST(Pii, Addresses) {
  EXPECT_EQ(hints("host 203.0.113.7 answers"), Found{"ip_address:203.0.113.7"});
  EXPECT_EQ(hints("2001:db8:85a3::8a2e:370:7334"), Found{"ip_address:2001:db8:85a3::8a2e:370:7334"});
  for (const char* none : {"127.0.0.1", "0.0.0.0", "version 1.2.3", "300.1.1.1", "1.2.3.4.5", "12:30:45", "std::vector::size", "aa:bb"}) EXPECT_EQ(hints(none), Found{}) << none;
}

TEST(Pii, Secrets) {
  EXPECT_EQ(hints("key sk-abcdefghijklmnopqrstuv123456"), Found{"secret:sk-abcdefghijklmnopqrstuv123456"});
  EXPECT_EQ(hints("AKIAIOSFODNN7EXAMPLE"), Found{"secret:AKIAIOSFODNN7EXAMPLE"});
  EXPECT_EQ(hints("api_key = \"a81kdo29sk3kd04kd93k\""), Found{"secret:a81kdo29sk3kd04kd93k"});
  EXPECT_EQ(hints("-----BEGIN RSA PRIVATE KEY-----\nMII").size(), 1u);
  for (const char* none : {"sk-learn", "password: changeme", "the token is short", "api_key = YOUR_API_KEY_HERE", "task-abcdefghijklmnopqrstuvwxyz"}) EXPECT_EQ(hints(none), Found{}) << none;
}

// Text made to be read again and again from every place: each takes a moment, not minutes.
TEST(Pii, LongTextsTakeLinearTime) {
  for (const char* piece : {"sk-", "eyJ-", "a@", "-----BEGIN ", "1", "1 ", "a:", "token=", "+1(", "1.", "::", "@.", "(1)"}) {
    std::string text;
    while (text.size() < 100'000) text += piece;
    const auto begin = std::chrono::steady_clock::now();
    find_pii(text);
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 10) << piece;
  }
}

TEST(Pii, MasksHideWhatWasFound) {
  EXPECT_EQ(masked(PiiKind::kEmail, "anna@example.org"), "a***@e***.org");
  EXPECT_EQ(masked(PiiKind::kPhone, "13812345678"), "138*****678");
  EXPECT_EQ(masked(PiiKind::kResidentId, "11010519491231002X").find("1949"), std::string::npos);
  EXPECT_EQ(masked(PiiKind::kSecret, "sk-abcdefghijklmnopqrstuv123456"), "sk-a************");
}

TEST(Language, ByScriptAndFrequentWords) {
  const std::vector<std::pair<const char*, Language>> texts = {
      {"今天天气怎么样？请用 Python 写一个函数。", Language::kChinese}, {"How do I make an HTTP request?", Language::kEnglish}, {"今日はいい天気ですね。", Language::kJapanese},
      {"오늘 날씨가 어때요?", Language::kKorean}, {"Wie ist das Wetter heute und was machen wir?", Language::kGerman}, {"Quel temps fait-il à Paris et dans le sud ?", Language::kFrench},
      {"¿Cómo está el tiempo hoy en la ciudad de México?", Language::kSpanish}, {"Какая сегодня погода?", Language::kRussian}, {"كيف حالك اليوم", Language::kArabic},
      {"สวัสดีครับ", Language::kOther}, {"12345 !?", Language::kUnknown}, {"", Language::kUnknown}};
  for (const auto& [text, language] : texts) EXPECT_EQ(name(language_of(text)), name(language)) << text;
}

TEST(Encoding, TracesOfWrongCharacterSets) {
  for (const char* bad : {"caf\xC3\x83\xC2\xA9", "it\xC3\xA2\xE2\x82\xAC\xE2\x84\xA2s", "锟斤拷", "a\x01" "b", "lost \xEF\xBF\xBD", "x\xEF\xBB\xBF"}) EXPECT_NE(encoding_hint(bad), "") << bad;
  for (const char* good : {"café", "naïve – “quoted”", "中文，标点。", "tab\tline\n", "Ã alone", "10 €"}) EXPECT_EQ(encoding_hint(good), "") << good;
}

}  // namespace
}  // namespace hone::data
