// Tokenizers of other people's files: what would give other tokens, there or after an export, is refused with its reason.
#include <gmock/gmock.h>

#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"
#include "io/atomic_file.h"
#include "io/gguf_writer.h"
#include "recipes/gguf_vocab.h"
#include "text/tokenizer_config.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using nlohmann::json;

template <class Step>
std::string reason_of(const Step& step) {
  try {
    step();
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::kInternal) << error.what();
    return error.where() + ": " + error.message();
  }
  return "nothing was refused";
}

json small_tokenizer() {
  return json::parse(R"({"added_tokens": [{"id": 3, "content": "<end>", "special": true, "normalized": false}], "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})");
}

class TokenizerFormats : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(work_); }
  void TearDown() override { fs::remove_all(work_); }
  std::vector<std::string> check(const json& config) const {
    io::write_file(work_ / "tokenizer_config.json", config.dump());
    return text::check_tokenizer_config(work_ / "tokenizer_config.json", text::Tokenizer::from_json(small_tokenizer().dump(), "tokenizer.json"));
  }
  const fs::path work_ = fs::temp_directory_path() / ("hone-tokenizer-formats-" + std::to_string(::getpid()));
};

TEST_F(TokenizerFormats, ConfigThatGivesOtherTokensIsRefused) {
  EXPECT_THAT(check({{"eos_token", "<end>"}, {"clean_up_tokenization_spaces", true}, {"added_tokens_decoder", {{"3", {{"content", "<end>"}}}}}, {"additional_special_tokens", {"<end>"}},
                     {"split_special_tokens", false}}),
              ::testing::IsEmpty());
  EXPECT_THAT(reason_of([&] { check({{"split_special_tokens", true}}); }), HasSubstr("split_special_tokens true"));
  EXPECT_THAT(reason_of([&] { check({{"added_tokens_decoder", {{"4", {{"content", "<new>"}}}}}}); }), HasSubstr("\"<new>\", which tokenizer.json lacks"));
  EXPECT_THAT(reason_of([&] { check({{"added_tokens_decoder", {{"4", {{"content", "<end>"}}}}}}); }), HasSubstr("\"<end>\", which tokenizer.json lacks"));
  EXPECT_THAT(reason_of([&] { check({{"additional_special_tokens", {{{"content", "<new>"}}}}}); }), HasSubstr("additional_special_tokens names"));
  EXPECT_THAT(check({{"add_eos_token", true}, {"zeta", 1}}), ::testing::ElementsAre(HasSubstr("add_eos_token true is passed over"), HasSubstr("passed over: zeta")));
  EXPECT_THAT(text::check_tokenizer_config(work_ / "none.json", text::Tokenizer::from_json(small_tokenizer().dump(), "t")), ::testing::IsEmpty());
}

TEST_F(TokenizerFormats, AddedTokensThatLlamaCppWouldFindOtherwiseAreNotWritten) {
  const auto written = [](json token) {
    json file = small_tokenizer();
    token.update({{"id", 4}, {"special", false}});
    file["added_tokens"].push_back(token);
    return reason_of([&] { text::Tokenizer::from_json(file.dump(), "tokenizer.json").to_gguf(8); });
  };
  EXPECT_EQ(written({{"content", "<x>"}, {"normalized", false}}), "nothing was refused");
  EXPECT_EQ(written({{"content", "<x>"}, {"normalized", true}}), "nothing was refused") << "mixed, but nothing overlaps";
  EXPECT_THAT(written({{"content", "<end>x"}, {"normalized", true}}), HasSubstr("overlap"));
  EXPECT_THAT(written({{"content", "x<e"}, {"normalized", true}}), HasSubstr("overlap"));
  for (const char* flag : {"lstrip", "rstrip", "single_word"}) EXPECT_THAT(written({{"content", "<x>"}, {"normalized", false}, {flag, true}}), HasSubstr(flag));
  // In SentencePiece's kind, normalised text has a mark before it.
  json pieces = json::parse(read_file(fs::path(HONE_GOLDEN_DIR) / "tokenizers" / "llama2.json"));
  const auto pieces_written = [&] { return reason_of([&] { text::Tokenizer::from_json(pieces.dump(), "tokenizer.json").to_gguf(1 << 16); }); };
  EXPECT_EQ(pieces_written(), "nothing was refused");
  for (json& token : pieces["added_tokens"]) token["normalized"] = true;
  EXPECT_THAT(pieces_written(), HasSubstr("in normalised text"));
}

TEST_F(TokenizerFormats, BytePairsWithoutMergesAreRefused) {
  const auto vocabulary = [&](const std::vector<std::string>& tokens, const std::vector<std::string>& merges) {
    io::GgufMetadata metadata = {{"tokenizer.ggml.model", std::string("gpt2")}, {"tokenizer.ggml.tokens", tokens}};
    if (!merges.empty()) metadata.emplace_back("tokenizer.ggml.merges", merges);
    io::GgufWriter(work_ / "m.gguf", metadata, {}).finish();
    return reason_of([&] { gguf_vocab(io::Gguf::open(work_ / "m.gguf")); });
  };
  EXPECT_EQ(vocabulary({"a", "b"}, {}), "nothing was refused") << "a vocabulary of single bytes needs none";
  EXPECT_EQ(vocabulary({"hello", "b"}, {"hel lo"}), "nothing was refused");
  EXPECT_THAT(vocabulary({"hello", "b"}, {}), HasSubstr("holds no merges"));
}

}  // namespace
}  // namespace hone::recipes
