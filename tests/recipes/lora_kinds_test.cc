// Every kind of LoRA (tests/golden/lora) merged into both formats, as a GGUF adapter where the format can hold it, and as settings.
#include <gmock/gmock.h>
#include <unistd.h>

#include "models/golden_model.h"
#include "recipes/export_gguf.h"
#include "recipes/export_safetensors.h"
#include "recipes/read_gguf_lora.h"
#include "recipes/tuned_model.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;
using models::testing::Golden;
using models::testing::relative_error;

class LoraKinds : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { fs::create_directories(work_); }
  void TearDown() override { fs::remove_all(work_); }

  // The goldens have no tokenizer; any will do that has their 61 tokens.
  static ModelFiles files_at(const fs::path& path) {
    const auto source = models::ModelSource::open(path);
    text::GgufVocab vocab;
    vocab.model = "gpt2";
    vocab.pre = "gpt-2";
    for (int64_t i = 0; i < source->config().vocab_size; ++i) vocab.tokens.push_back("t" + std::to_string(i));
    return {source, text::Tokenizer::from_gguf(vocab, "tokens"), std::nullopt, "", "", {}, -1};
  }
  double error_of(const models::CausalLm& model) const { return relative_error(expected_.tensor("logits"), models::testing::logits(model, base_.all())); }
  double error_of(const fs::path& path) const { return error_of(models::CausalLm::load(*models::ModelSource::open(path), exact_)); }

  const fs::path folder_ = fs::path(HONE_GOLDEN_DIR) / "lora" / GetParam();
  const std::string base_name_ = read_json(folder_ / "expected.json").at("base").get<std::string>();
  const io::Safetensors expected_ = io::Safetensors::open(folder_ / "expected.safetensors");
  const Golden base_{base_name_};
  const fs::path base_folder_ = fs::path(HONE_GOLDEN_DIR) / "models" / base_name_;
  const fs::path work_ = fs::temp_directory_path() / (std::string("hone-kinds-") + GetParam() + "-" + std::to_string(::getpid()));
  const models::LoadOptions exact_{.activation = DType::kF32};
};

TEST_P(LoraKinds, MergedModelsComputeWhatTheAdapterDoes) {
  const ModelFiles folder = files_at(base_folder_);
  models::CausalLm plain = models::CausalLm::load(*folder.source, exact_);
  write_merged_gguf(work_ / "base.gguf", folder, plain, "f32", GgufReader::kHone);
  for (const fs::path& base : {base_folder_, work_ / "base.gguf"}) {
    const ModelFiles files = files_at(base);
    models::CausalLm model = load_tuned(*files.source, exact_, folder_ / "adapter");
    EXPECT_LT(error_of(model), 1e-4);
    write_merged_gguf(work_ / "merged.gguf", files, model, "f32", GgufReader::kHone);
    EXPECT_LT(error_of(work_ / "merged.gguf"), 1e-4) << base;
    fs::create_directories(work_ / "folder");
    write_merged_safetensors(work_ / "folder", files, model, "f32");
    EXPECT_LT(error_of(work_ / "folder"), 1e-4) << base;
    fs::remove_all(work_ / "folder");
  }
}

TEST_P(LoraKinds, GgufAdaptersHoldWhatTheFormatCan) {
  const auto source = models::ModelSource::open(base_folder_);
  io::LoraAdapter adapter = io::read_peft(folder_ / "adapter");
  const std::string kind = GetParam();
  if (kind == "vocabulary") adapter.whole.clear();  // the base's own embedding and head, which PEFT writes beside their adapters
  if (kind != "patterns" && kind != "vocabulary") {
    EXPECT_THROW(write_gguf_lora(work_ / "lora.gguf", adapter, *source), Error);
    return;
  }
  write_gguf_lora(work_ / "lora.gguf", adapter, *source);
  models::CausalLm model = models::CausalLm::load(*source, exact_);
  models::attach_adapter(model, read_gguf_lora(work_ / "lora.gguf", *source), "lora.gguf", /*trainable=*/false);
  EXPECT_LT(error_of(model), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, LoraKinds, ::testing::Values("patterns", "dora", "dora_llama", "vocabulary", "tied_vocabulary", "whole", "tied_whole", "bias"),
                         [](const auto& kind) { return std::string(kind.param); });

TEST(LoraSettings, AreReadAndWrittenBack) {
  const Config c = parse_config(
      "lora: {target: [q_proj, '.*layers\\.1.*(k|v)_proj', embed_tokens], rank_pattern: {q_proj: 4, 'layers\\.0.*': 2}, alpha_pattern: {v_proj: 1.5}, modules_to_save: lm_head norm, init: pissa}\n"
      "use_dora: true\n",
      "test.yaml", {});
  for (const Config& config : {c, parse_config(to_yaml(c), "again", {})}) {
    EXPECT_THAT(config.lora.target, testing::ElementsAre("q_proj", ".*layers\\.1.*(k|v)_proj", "embed_tokens"));
    EXPECT_THAT(config.lora.rank_pattern, testing::ElementsAre(testing::Pair("q_proj", 4), testing::Pair("layers\\.0.*", 2)));
    EXPECT_THAT(config.lora.alpha_pattern, testing::ElementsAre(testing::Pair("v_proj", 1.5)));
    EXPECT_THAT(config.lora.modules_to_save, testing::ElementsAre("lm_head", "norm"));
    EXPECT_EQ(config.lora.init, "pissa");
    EXPECT_TRUE(config.lora.dora);
  }
  EXPECT_NE(resume_difference(parse_config("", "test.yaml", {}), c), "");
  EXPECT_EQ(parse_config("", "test.yaml", {"lora.rank_pattern={down_proj: 3}"}).lora.rank_pattern.at(0).second, 3);
  EXPECT_THROW(parse_config("lora.rank_pattern: [q_proj]", "test.yaml", {}), Error);
  EXPECT_THROW(parse_config("lora.init: eva", "test.yaml", {}), Error);
  EXPECT_THROW(parse_config("lora.dora: true", "test.yaml", {"model.adapter=full"}), Error) << "never passed over";
}

}  // namespace
}  // namespace hone::recipes
