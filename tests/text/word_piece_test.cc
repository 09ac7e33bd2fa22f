#include "text/word_piece.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"

namespace hone::text {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(HONE_GOLDEN_DIR) / "encoders";

std::vector<std::string> golden_tokens() {
  std::vector<std::string> tokens;
  std::ifstream file(kGolden / "tiny" / "vocab.txt");
  for (std::string line; std::getline(file, line);) tokens.push_back(line);
  return tokens;
}

void expect_golden(const WordPiece& tokenizer, const char* key) {
  const nlohmann::json golden = read_json(kGolden / "expected.json");
  for (const auto& row : golden["texts"]) EXPECT_EQ(tokenizer.encode(row["text"].get<std::string>(), golden["limit"]), row[key].get<std::vector<int32_t>>()) << key << ": " << row["text"];
}

TEST(WordPiece, EncodesAsTheReference) {
  expect_golden(WordPiece::from_folder(kGolden / "tiny"), "ids");
  expect_golden(WordPiece::from_tokens(golden_tokens(), {}, "vocab.txt"), "ids");
  WordPiece::Rules cased;
  cased.lower_case = cased.strip_accents = false;
  expect_golden(WordPiece::from_tokens(golden_tokens(), cased, "vocab.txt"), "cased");
}

TEST(WordPiece, ReadsVocabularyFiles) {
  const fs::path folder = fs::path(testing::TempDir()) / ("word_piece-" + std::to_string(::getpid()));
  fs::remove_all(folder);
  fs::create_directories(folder);
  EXPECT_THROW(WordPiece::from_folder(folder), Error);
  fs::copy_file(kGolden / "tiny" / "vocab.txt", folder / "vocab.txt");
  expect_golden(WordPiece::from_folder(folder), "ids");
  std::ofstream(folder / "tokenizer_config.json") << R"({"do_lower_case": false})";
  expect_golden(WordPiece::from_folder(folder), "cased");
  fs::remove_all(folder);
}

TEST(WordPiece, CutsAndRepairs) {
  const WordPiece w = WordPiece::from_tokens({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##b", "b", "\xEF\xBF\xBD"}, {}, "test");
  EXPECT_EQ(w.encode("a a a", 4), (std::vector<int32_t>{2, 4, 4, 3}));
  EXPECT_EQ(w.encode("abb", 3), (std::vector<int32_t>{2, 4, 3}));
  EXPECT_EQ(w.encode("abb", 2), (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(w.encode("[SEP]", 9), (std::vector<int32_t>{2, 1, 1, 1, 3})) << "special tokens in the text are words";
  EXPECT_EQ(w.encode("a\xC3", 9), (std::vector<int32_t>{2, 4, 3})) << "bad UTF-8 is dropped as U+FFFD is";
  EXPECT_EQ(w.encode("abc a", 9), (std::vector<int32_t>{2, 1, 4, 3})) << "a word with an unknown part is unknown as a whole";
}

TEST(WordPiece, RefusesBadFiles) {
  EXPECT_THROW(WordPiece::from_tokens({"[UNK]", "[CLS]", "a"}, {}, "test"), Error);
  for (const char* text : {"[]", "{}", R"({"model": {"type": "BPE", "vocab": {}}})", R"({"model": {"type": "WordPiece", "vocab": {}}})", R"({"model": {"type": "WordPiece", "vocab": {"a": -1}}})",
                           R"({"model": {"type": "WordPiece", "vocab": {"a": 99999999}}})", R"({"model": {"type": "WordPiece", "vocab": {"a": "b"}}})",
                           R"({"normalizer": {"type": "NFC"}, "model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}}})"})
    EXPECT_THROW(WordPiece::from_json(text, "test"), Error) << text;
  EXPECT_NO_THROW(WordPiece::from_json(R"({"model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}}})", "test"));
}

}  // namespace
}  // namespace hone::text
