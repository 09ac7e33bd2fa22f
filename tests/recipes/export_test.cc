// Merged models of every family, from one format to the other and back, against the logits of transformers + PEFT.
#include <gtest/gtest.h>

#include <unistd.h>

#include "io/safetensors_buffer.h"
#include "models/golden_model.h"
#include "recipes/export_gguf.h"
#include "recipes/export_safetensors.h"
#include "recipes/read_gguf_lora.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;
using models::testing::From;
using models::testing::Golden;
using models::testing::relative_error;

constexpr double kTolerance = 1e-4;

class Export : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { fs::create_directories(work_); }
  void TearDown() override { fs::remove_all(work_); }

  // The goldens have no tokenizer; any will do that has their 61 tokens.
  static ModelFiles files_of(const fs::path& path) {
    const auto source = models::ModelSource::open(path);
    text::GgufVocab vocab;
    vocab.model = "gpt2";
    vocab.pre = "gpt-2";
    for (int64_t i = 0; i < source->config().vocab_size; ++i) vocab.tokens.push_back("t" + std::to_string(i));
    return {source, text::Tokenizer::from_gguf(vocab, "tokens"), std::nullopt, "", "", {}, -1};
  }
  models::CausalLm tuned(const ModelFiles& files) const {
    models::CausalLm model = models::CausalLm::load(*files.source, exact_);
    golden_.attach(model);
    return model;
  }
  double error_of(const fs::path& path) const {
    const models::CausalLm model = models::CausalLm::load(*models::ModelSource::open(path), exact_);
    return relative_error(golden_.tensor("logits"), models::testing::logits(model, golden_.all()));
  }

  const fs::path golden_folder_ = fs::path(HONE_GOLDEN_DIR) / "models" / GetParam();
  const Golden golden_{GetParam()};
  const fs::path work_ = fs::temp_directory_path() / (std::string("hone-export-") + GetParam() + "-" + std::to_string(::getpid()));
  const models::LoadOptions exact_{.activation = DType::kF32};
};

TEST_P(Export, FolderToGgufAndBack) {
  const ModelFiles folder = files_of(golden_folder_);
  models::CausalLm model = tuned(folder);
  write_merged_gguf(work_ / "merged.gguf", folder, model, "f32", GgufReader::kHone);
  EXPECT_LT(error_of(work_ / "merged.gguf"), kTolerance);

  const ModelFiles gguf = files_of(work_ / "merged.gguf");
  models::CausalLm merged = models::CausalLm::load(*gguf.source, exact_);
  fs::create_directories(work_ / "back");
  write_merged_safetensors(work_ / "back", gguf, merged, "f32");
  EXPECT_LT(error_of(work_ / "back"), kTolerance);
  EXPECT_EQ(models::ModelSource::open(work_ / "back")->config().eos_ids.empty(), folder.source->config().eos_ids.empty());

  fs::create_directories(work_ / "folder");
  write_merged_safetensors(work_ / "folder", folder, model, "f32");
  EXPECT_LT(error_of(work_ / "folder"), kTolerance);
}

TEST_P(Export, ABufferOfAnotherTypeIsNoWeight) {
  fs::copy(golden_folder_, work_ / "buffered", fs::copy_options::recursive);
  const fs::path whole = work_ / "buffered" / "model.safetensors";
  const fs::path shard = work_ / "buffered" / "model-00001-of-00003.safetensors";
  io::testing::add_buffer(fs::exists(whole) ? whole : shard, "model.position_ids");
  const ModelFiles files = files_of(work_ / "buffered");
  models::CausalLm model = tuned(files);
  fs::create_directories(work_ / "merged");
  write_merged_safetensors(work_ / "merged", files, model, "f32");
  EXPECT_LT(error_of(work_ / "merged"), kTolerance);
}

TEST_P(Export, GgufKeepsItsLayout) {
  const ModelFiles files = files_of(golden_folder_ / "model.gguf");
  models::CausalLm model = tuned(files);
  write_merged_gguf(work_ / "merged.gguf", files, model, "f32");
  EXPECT_LT(error_of(work_ / "merged.gguf"), kTolerance);
  EXPECT_EQ(io::Gguf::open(work_ / "merged.gguf").tensor_names(), files.source->gguf()->tensor_names());
  for (const char* type : {"f16", "bf16", "q8_0", "q4_0", "q4_k_m", "q6_k"}) {
    write_merged_gguf(work_ / "typed.gguf", files, model, type);
    EXPECT_LT(error_of(work_ / "typed.gguf"), std::string_view(type).starts_with("q") ? 1.0 : 0.05) << type;
  }
}

// W + scale · B·A of the stored pair must be what merging gives, tensor by tensor, also for stacks and split halves.
TEST_P(Export, GgufLoraIsTheMergedChange) {
  const ModelFiles files = files_of(golden_folder_);
  models::CausalLm plain = models::CausalLm::load(*files.source, exact_), model = tuned(files);
  write_merged_gguf(work_ / "base.gguf", files, plain, "f32", GgufReader::kHone);
  write_merged_gguf(work_ / "merged.gguf", files, model, "f32", GgufReader::kHone);
  const auto notes = write_gguf_lora(work_ / "lora.gguf", io::read_peft(golden_folder_ / "adapter"), *files.source);
  EXPECT_EQ(notes.empty(), !files.source->config().mla);
  const io::Gguf base = io::Gguf::open(work_ / "base.gguf"), merged = io::Gguf::open(work_ / "merged.gguf"), lora = io::Gguf::open(work_ / "lora.gguf");
  size_t adapted = 0;
  for (const std::string& name : base.tensor_names()) {
    const Tensor w = base.tensor(name), expected = merged.tensor(name);
    if (!lora.has(name + ".lora_a")) {
      EXPECT_EQ(relative_error(w, expected), 0) << name;
      continue;
    }
    ++adapted;
    const Tensor a = lora.tensor(name + ".lora_a"), b = lora.tensor(name + ".lora_b");
    const int64_t stacks = w.shape().rank() == 3 ? w.size(0) : 1, n = w.shape()[-2], k = w.shape()[-1], rank = a.shape()[-2];
    ASSERT_EQ(a.elements(), stacks * rank * k) << name;
    ASSERT_EQ(b.elements(), stacks * n * rank) << name;
    const double scale = lora.real("adapter.lora.alpha") / static_cast<double>(rank);
    Tensor found = w.clone();
    for (int64_t s = 0; s < stacks; ++s)
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < k; ++j) {
          double sum = 0;
          for (int64_t r = 0; r < rank; ++r) sum += double{b.data<float>()[(s * n + i) * rank + r]} * double{a.data<float>()[(s * rank + r) * k + j]};
          found.data_mutable<float>()[(s * n + i) * k + j] += static_cast<float>(scale * sum);
        }
    EXPECT_LT(relative_error(expected, found), 1e-5) << name;
  }
  EXPECT_EQ(2 * adapted, lora.tensor_names().size()) << "every adapted tensor has a weight";
}

// Read back, a GGUF adapter gives the logits that the PEFT adapter gives, on the folder and on the GGUF file.
TEST_P(Export, GgufLoraIsReadBack) {
  const ModelFiles files = files_of(golden_folder_);
  write_gguf_lora(work_ / "lora.gguf", io::read_peft(golden_folder_ / "adapter"), *files.source);
  models::CausalLm plain = models::CausalLm::load(*files.source, exact_);
  write_merged_gguf(work_ / "base.gguf", files, plain, "f32", GgufReader::kHone);
  for (const fs::path& base : {golden_folder_, work_ / "base.gguf"}) {
    const auto source = models::ModelSource::open(base);
    models::CausalLm model = models::CausalLm::load(*source, exact_);
    models::attach_adapter(model, read_gguf_lora(work_ / "lora.gguf", *source), "lora.gguf", /*trainable=*/false);
    EXPECT_LT(relative_error(golden_.tensor("logits"), models::testing::logits(model, golden_.all())), kTolerance) << base;
  }
  EXPECT_THROW(read_gguf_lora(work_ / "base.gguf", *files.source), Error) << "a model is no adapter";
}

INSTANTIATE_TEST_SUITE_P(Families, Export,
                         ::testing::Values("llama", "llama3_rope", "linear_rope", "qwen2", "qwen2_yarn", "qwen3", "deepseek_v2_lite", "deepseek_v2",
                                           "deepseek_v3"),
                         [](const auto& model) { return std::string(model.param); });

}  // namespace
}  // namespace hone::recipes
