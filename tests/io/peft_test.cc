// Folders of PEFT: which keys of adapter_config.json count, and that no tensor is passed over.
#include "io/peft.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "io/peft_config.h"
#include "io/safetensors.h"

namespace hone::io {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char *kQuery = "model.layers.0.self_attn.q_proj", *kValue = "model.layers.1.self_attn.v_proj";

class PeftFolder : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  void config(const Json& changes) const {
    Json config = {{"peft_type", "LORA"}, {"task_type", "CAUSAL_LM"}, {"r", 2}, {"lora_alpha", 8}, {"target_modules", {"q_proj", "v_proj"}}, {"bias", "none"}};
    if (!changes.is_null()) config.update(changes);
    std::ofstream(folder_ / "adapter_config.json") << config.dump();
  }
  void add(const std::string& name, const Shape& shape) {
    Tensor value = Tensor::empty(shape, DType::kF32);
    for (int64_t i = 0; i < value.elements(); ++i) value.data_mutable<float>()[i] = static_cast<float>(i);
    tensors_.emplace_back("base_model.model." + name, value);
    write_safetensors(folder_ / "adapter_model.safetensors", tensors_);
  }
  void pair(const std::string& module, int64_t rank = 2) {
    add(module + ".lora_A.weight", {rank, 6});
    add(module + ".lora_B.weight", {4, rank});
  }
  // Of the error that reading throws; empty when it does not.
  std::string refusal(ErrorCode code) const {
    try {
      read_peft(folder_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_FALSE(error.hint().empty());
      return error.where() + " " + error.message() + " " + error.hint();
    }
    return {};
  }

  const fs::path folder_ = fs::temp_directory_path() / ("hone-peft-" + std::to_string(::getpid()));
  std::vector<std::pair<std::string, Tensor>> tensors_;
};

TEST_F(PeftFolder, PatternsGiveScales) {
  pair(kQuery, 4);
  pair(kValue);
  config({{"rank_pattern", {{"q_proj", 4}}}, {"alpha_pattern", {{"layers.0.self_attn.q_proj", 32}, {"q_proj", 1}, {"v_pro.*", 16}}}});
  const LoraAdapter adapter = read_peft(folder_);
  ASSERT_EQ(adapter.pairs.size(), 2u);
  EXPECT_EQ(adapter.scale(adapter.pairs[0]), 8) << "alpha 32 over the rank 4 of its own; the first pattern counts";
  EXPECT_EQ(adapter.scale(adapter.pairs[1]), 8) << "16 over 2";
  config({{"rank_pattern", {{"q_proj", 4}}}, {"use_rslora", true}});
  const LoraAdapter stabilized = read_peft(folder_);
  EXPECT_EQ(stabilized.scale(stabilized.pairs[0]), 4);
  EXPECT_EQ(stabilized.scale(stabilized.pairs[1]), 8 / std::sqrt(2.0));
}

TEST_F(PeftFolder, RanksThatDoNotFitNameThePattern) {
  pair(kQuery, 4);
  pair(kValue);
  config({});
  EXPECT_NE(refusal(ErrorCode::kInvalidInput).find("rank_pattern"), std::string::npos);
  config({{"rank_pattern", {{"v_proj", 4}}}});
  EXPECT_NE(refusal(ErrorCode::kInvalidInput), "");
}

TEST_F(PeftFolder, WhatIsWrittenIsReadBack) {
  LoraAdapter adapter;
  adapter.rank = 2;
  adapter.alpha = 8;
  const auto matrix = [](int64_t rows, int64_t cols, float value) {
    Tensor t = Tensor::empty({rows, cols}, DType::kF32);
    std::fill_n(t.data_mutable<float>(), t.elements(), value);
    return t;
  };
  const Tensor magnitude = Tensor::zeros({4}, DType::kF32);
  adapter.pairs = {{"model.embed_tokens", matrix(2, 9, 1), matrix(6, 2, 2), 8}, {kQuery, matrix(3, 6, 3), matrix(4, 3, 4), 5, magnitude}, {kValue, matrix(2, 6, 5), matrix(4, 2, 6), 7, magnitude}};
  adapter.target_modules = {"embed_tokens", "q_proj", "v_proj"};
  adapter.whole = {{"lm_head.weight", matrix(9, 6, 7)}};
  write_peft(folder_, adapter);
  const LoraAdapter back = read_peft(folder_);
  ASSERT_EQ(back.pairs.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(back.pairs[i].module, adapter.pairs[i].module);
    EXPECT_EQ(back.pairs[i].alpha, adapter.pairs[i].alpha);
    EXPECT_EQ(back.pairs[i].a.shape(), adapter.pairs[i].a.shape());
    EXPECT_EQ(back.pairs[i].b.data<float>()[0], adapter.pairs[i].b.data<float>()[0]);
    EXPECT_EQ(back.pairs[i].magnitude.defined(), i > 0);
  }
  ASSERT_EQ(back.whole.size(), 1u);
  EXPECT_EQ(back.whole[0].first, "lm_head.weight");
}

TEST_F(PeftFolder, NoTensorIsPassedOver) {
  pair(kQuery);
  config({});
  EXPECT_EQ(refusal(ErrorCode::kUnsupported), "");
  const auto plain = tensors_;
  const std::vector<std::pair<std::string, Json>> cases = {
      {"model.layers.0.self_attn.k_proj.lora_A.weight", {}},                       // not in target_modules
      {"model.layers.0.self_attn.q_proj.lora_magnitude_vector", {}},               // use_dora is false
      {"model.layers.0.self_attn.q_proj.lora_B.bias", {}},
      {"model.layers.0.self_attn.q_proj.bias", {}},                                // bias is none
      {"model.norm.weight", {}},                                                   // modules_to_save does not name it
      {"score.weight", {}},
      {"model.layers.0.self_attn.q_proj.lora_A.default.weight", {}},
      {"model.embed_tokens.token_adapter.trainable_tokens_delta", {}},
      {"model.layers.7.self_attn.v_proj.lora_A.weight", {{"layers_to_transform", {0, 1}}}},
      {"model.layers.3.self_attn.v_proj.lora_A.weight", {{"exclude_modules", "model.layers.3.*"}}},
  };
  for (const auto& [name, changes] : cases) {
    tensors_ = plain;
    add(name, {2, 6});
    config(changes);
    EXPECT_NE(refusal(ErrorCode::kUnsupported).find(name), std::string::npos) << name;
  }
}

TEST_F(PeftFolder, WholeWeightsAndBiasesAreRead) {
  pair(kQuery);
  add("model.embed_tokens.weight", {9, 6});  // PEFT writes it whenever the vocabulary was resized
  add("model.norm.modules_to_save.weight", {6});
  add("model.layers.0.self_attn.q_proj.base_layer.bias", {4});
  config({{"bias", "lora_only"}, {"modules_to_save", {"norm"}}});
  const LoraAdapter adapter = read_peft(folder_);
  ASSERT_EQ(adapter.whole.size(), 3u);
  EXPECT_EQ(adapter.whole[0].first, "model.embed_tokens.weight");
  EXPECT_EQ(adapter.whole[1].first, "model.layers.0.self_attn.q_proj.bias");
  EXPECT_EQ(adapter.whole[2].first, "model.norm.weight");
}

TEST_F(PeftFolder, EveryRefusedKeyIsRefusedUnlessItIsEmpty) {
  pair(kQuery);
  for (const PeftKey& key : peft_keys()) {
    if (key.use == PeftKey::Use::kRead) continue;
    for (const Json& empty : {Json(nullptr), Json(false), Json::object(), Json::array()}) {
      config({{std::string(key.key), empty}});
      EXPECT_EQ(refusal(ErrorCode::kUnsupported), "") << key.key;
    }
    config({{std::string(key.key), {{"size", 3}}}});
    EXPECT_EQ(refusal(ErrorCode::kUnsupported).find(key.key) != std::string::npos, key.use == PeftKey::Use::kRefused) << key.key;
  }
  for (const Json& change : std::vector<Json>{{{"peft_type", "ADALORA"}}, {{"task_type", "SEQ_CLS"}}, {{"init_lora_weights", "pissa_niter_4"}}, {{"init_lora_weights", "corda"}}, {{"init_lora_weights", "loftq"}}}) {
    config(change);
    EXPECT_NE(refusal(ErrorCode::kUnsupported).find(change.begin().key()), std::string::npos) << change;
  }
  for (const Json& change : std::vector<Json>{{{"r", "4"}}, {{"r", 0.5}}, {{"bias", "some"}}, {{"target_modules", "("}}, {{"rank_pattern", {{"q_proj", "2"}}}}, {{"use_dora", 1}}}) {
    config(change);
    EXPECT_NE(refusal(ErrorCode::kInvalidInput).find(change.begin().key()), std::string::npos) << change;
  }
}

TEST_F(PeftFolder, UnknownKeysAreReportedOnce) {
  pair(kQuery);
  config({{"target_modules", R"(.*\.[qv]_proj)"}, {"speed", 3}, {"colour", nullptr}, {"peft_version", "9"}, {"init_lora_weights", "gaussian"}});
  const LoraAdapter adapter = read_peft(folder_);
  ASSERT_EQ(adapter.notes.size(), 1u);
  EXPECT_NE(adapter.notes[0].find("speed, colour"), std::string::npos);
  EXPECT_EQ(adapter.notes[0].find("peft_version"), std::string::npos);
}

TEST_F(PeftFolder, PicklesAreRefusedWithTheWayOut) {
  config({});
  std::ofstream(folder_ / "adapter_model.bin") << "PK";
  const std::string text = refusal(ErrorCode::kUnsupported);
  EXPECT_NE(text.find("adapter_model.bin"), std::string::npos);
  EXPECT_NE(text.find("save_file"), std::string::npos);
}

TEST(PeftKeys, AreDocumented) {
  std::ostringstream documented;
  documented << std::ifstream(fs::path(HONE_SOURCE_DIR) / "docs" / "peft.md").rdbuf();
  EXPECT_NE(documented.str().find(peft_key_table()), std::string::npos) << "docs/peft.md should hold:\n" << peft_key_table();
}

}  // namespace
}  // namespace hone::io
