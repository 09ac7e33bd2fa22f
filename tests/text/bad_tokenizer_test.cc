// Malformed tokenizer files and pathological patterns: an Error each, never a crash or a hang.
#include <gtest/gtest.h>


#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "text/tokenizer.h"

namespace hone::text {
namespace {

using PlainJson = nlohmann::json;

PlainJson small() {
  return PlainJson::parse(R"({"added_tokens": [{"id": 5, "content": "<s>", "special": true}], "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}, "post_processor": null, "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "ba": 3, "aba": 4}, "merges": ["a b", "ab a"]}})");
}

PlainJson with(const char* pointer, PlainJson value) {
  PlainJson root = small();
  root[PlainJson::json_pointer(pointer)] = std::move(value);
  return root;
}

std::string refusal(const std::string& text) {
  try {
    Tokenizer::from_json(text, "tokenizer.json").encode("abab <s>\u4e2d ba");
    return "";
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::kInternal) << error.message();
    EXPECT_FALSE(error.where().empty());
    return error.message();
  }
}

TEST(BadTokenizer, TheSmallOneIsGood) {
  const Tokenizer tokenizer = Tokenizer::from_json(small().dump(), "tokenizer.json");
  EXPECT_EQ(tokenizer.encode("abaab<s>"), (std::vector<int32_t>{4, 2, 5}));
}

struct Bad {
  const char* name;
  const char* pointer;
  const char* value;
  const char* expected;  // part of the message
};

class Catalogue : public testing::TestWithParam<Bad> {};

TEST_P(Catalogue, IsRefused) {
  const Bad& bad = GetParam();
  const std::string message = refusal(with(bad.pointer, PlainJson::parse(bad.value)).dump());
  EXPECT_NE(message.find(bad.expected), std::string::npos) << message;
  EXPECT_NE(message, "") << "accepted";
}

INSTANTIATE_TEST_SUITE_P(
    Files, Catalogue,
    testing::Values(Bad{"root_list", "", "[]", "not a JSON object"}, Bad{"no_model", "/model", "null", "missing"}, Bad{"model_list", "/model", "[1]", "missing"},
                    Bad{"unigram", "/model/type", "\"Unigram\"", "Unigram"}, Bad{"vocab_list", "/model/vocab", "[\"a\"]", "vocab"},
                    Bad{"vocab_empty", "/model/vocab", "{}", "vocab"}, Bad{"id_text", "/model/vocab/a", "\"0\"", "token id"},
                    Bad{"id_negative", "/model/vocab/a", "-1", "token id"}, Bad{"id_huge", "/model/vocab/a", "99999999999999999999", "token id"},
                    Bad{"id_billion", "/model/vocab/a", "1000000000", "token id"}, Bad{"id_fraction", "/model/vocab/a", "0.5", "token id"},
                    Bad{"id_far", "/model/vocab/a", "8000000", "ids reach"}, Bad{"id_twice", "/model/vocab/a", "1", "share the id"},
                    Bad{"merges_missing", "/model/merges", "null", "merges"}, Bad{"merge_number", "/model/merges/0", "3", "neither"},
                    Bad{"merge_one", "/model/merges/0", "\"a\"", "not two"}, Bad{"merge_three", "/model/merges/0", "[\"a\",\"b\",\"a\"]", "neither"},
                    Bad{"merge_unknown", "/model/merges/0", "\"a c\"", "not in the vocabulary"}, Bad{"merge_result", "/model/merges/0", "\"b b\"", "not in the vocabulary"},
                    Bad{"byte_fallback", "/model/byte_fallback", "1", "true or false"}, Bad{"prefix", "/model/continuing_subword_prefix", "\"##\"", "continuing"},
                    Bad{"added_object", "/added_tokens", "{}", "list"}, Bad{"added_number", "/added_tokens/0", "7", "not an object"},
                    Bad{"added_no_content", "/added_tokens/0/content", "null", "content"}, Bad{"added_id", "/added_tokens/0/id", "1000000000", "token id"},
                    Bad{"added_far", "/added_tokens/0/id", "7000000", "beyond"}, Bad{"added_flag", "/added_tokens/0/special", "\"yes\"", "true or false"},
                    Bad{"normalizer_text", "/normalizer", "\"NFC\"", "type"}, Bad{"normalizer_unknown", "/normalizer", R"({"type": "Precompiled"})", "Precompiled"},
                    Bad{"normalizer_list", "/normalizer", R"({"type": "Sequence", "normalizers": 3})", "list"},
                    Bad{"pre_unknown", "/pre_tokenizer", R"({"type": "Magic"})", "Magic"}, Bad{"pre_no_type", "/pre_tokenizer", "{}", "type"},
                    Bad{"split_no_pattern", "/pre_tokenizer", R"({"type": "Split", "behavior": "Isolated"})", "pattern"},
                    Bad{"split_behavior", "/pre_tokenizer", R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Explode"})", "Explode"},
                    Bad{"after_bytes", "/pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]})", "ByteLevel"},
                    Bad{"metaspace_scheme", "/pre_tokenizer", R"({"type": "Metaspace", "prepend_scheme": "last"})", "last"},
                    Bad{"post_unknown", "/post_processor", R"({"type": "BertProcessing"})", "BertProcessing"},
                    Bad{"post_item", "/post_processor", R"({"type": "TemplateProcessing", "single": [1]})", "unknown item"},
                    Bad{"post_missing", "/post_processor", R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}]})", "special_tokens"},
                    Bad{"post_far", "/post_processor",
                        R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}], "special_tokens": {"x": {"ids": [4000]}}})", "vocabulary"}),
    [](const auto& test) { return test.param.name; });

std::string refused_pattern(const std::string& regex, const std::string& text) {
  PlainJson root = small();
  root["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
  try {
    Tokenizer::from_json(root.dump(), "tokenizer.json").encode(text);
    return "";
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::kInternal) << error.message();
    return error.message();
  }
}

TEST(BadPattern, ThatDoesNotCompile) {
  for (const char* regex : {"(", "[a", "a{2,1}", "\\p{Nonsense}", "(?<=a+)b", "*", "\\", "(?P<x>a)(?P=", "(?z:a)", "[[a-z]&&[b]]", "[a[b]]", "\\u12", "a)b"})
    EXPECT_NE(refused_pattern(regex, "aab"), "") << regex;
  EXPECT_NE(refused_pattern(std::string(100'000, '('), "a"), "");
  EXPECT_NE(refused_pattern(std::string(50'000, 'a') + "(", "a"), "");
}

TEST(BadPattern, ThatNeverEnds) {
  const std::string run(60, 'a');
  EXPECT_NE(refused_pattern("^(a+)+$", run + "b"), "");
  EXPECT_NE(refused_pattern("(a|aa)+$", run + "b"), "");
  EXPECT_NE(refused_pattern("(?:a+)+[bc]", std::string(5000, 'a') + "d"), "");
  EXPECT_NE(refused_pattern("(?:a|b)*c|.", std::string(200'000, 'a')), "") << "each start goes through the rest";
}

// Any change of a good file either loads or is refused.
TEST(BadTokenizer, SurvivesDamage) {
  const std::string folder = HONE_GOLDEN_DIR "/tokenizers/";
  const PlainJson odd[] = {nullptr, true, -1, 1e300, 1'000'000'000, "", "a b", "\\p{", PlainJson::array(), PlainJson::object(), PlainJson::array({PlainJson::array()})};
  std::mt19937 random(7);
  for (const char* name : {"flags2.json", "metaspace-split.json", "llama-bpe.json"}) {
    PlainJson root = PlainJson::parse(read_file(folder + name));
    const PlainJson flat = root.flatten();
    std::vector<std::string> pointers;
    for (const auto& [pointer, value] : flat.items())
      if (!pointer.starts_with("/model/vocab/") && (!pointer.starts_with("/model/merges/") || random() % 50 == 0)) pointers.push_back(pointer);
    // Loading is quick without most merges.
    for (int round = 0; round < 60; ++round) {
      PlainJson changed = root;
      const PlainJson::json_pointer at(pointers[random() % pointers.size()]);
      changed[random() % 3 == 0 ? at.parent_pointer() : at] = odd[random() % std::size(odd)];
      refusal(changed.dump());
    }
    const std::string text = root.dump();
    for (int round = 0; round < 25; ++round) {
      std::string cut = text.substr(0, random() % text.size());
      refusal(cut);
      cut = text;
      cut[random() % cut.size()] = static_cast<char>(random() % 256);
      refusal(cut);
    }
  }
}

TEST(BadGguf, IsRefused) {
  const auto refused = [](auto change) {
    GgufVocab vocab;
    vocab.model = "gpt2";
    vocab.tokens = {"a", "b", "ab"};
    vocab.merges = {"a b"};
    change(vocab);
    try {
      Tokenizer::from_gguf(vocab, "x.gguf").encode("abab");
      return false;
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ErrorCode::kInternal) << error.message();
      return true;
    }
  };
  EXPECT_FALSE(refused([](GgufVocab&) {}));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.model = "t5"; }));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.pre = "nothing-known"; }));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.tokens.clear(); }));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.types = {1}; }));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.merges = {"ab"}; }));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.merges = {"a c"}; }));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.merges = {"b a"}; }));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.merges = {""}; }));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.bos = 3; }));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.model = "llama"; }));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.model = "llama", v.scores = {0, std::nan(""), 1}; }));
  EXPECT_TRUE(refused([](GgufVocab& v) { v.model = "llama", v.scores = {0, 1, 2}, v.types = {1, 6, 1}; }));
}

}  // namespace
}  // namespace hone::text
