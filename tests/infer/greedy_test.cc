// Greedy answers token by token against transformers' generate(do_sample=False). See tests/golden/models/make_greedy.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/json_file.h"
#include "infer/generate.h"
#include "infer/numbers_tokenizer.h"
#include "models/adapter.h"

namespace hone::infer {
namespace {

namespace fs = std::filesystem;

class Greedy : public ::testing::TestWithParam<const char*> {
 protected:
  const fs::path folder_ = fs::path(HONE_GOLDEN_DIR) / "models" / GetParam();
  const nlohmann::json rows_ = read_json(folder_ / "greedy.json").at("rows");

  models::CausalLm load(bool gguf, bool tuned) const {
    models::LoadOptions options;
    options.activation = DType::kF32;
    models::CausalLm model = models::CausalLm::load(*models::ModelSource::open(gguf ? folder_ / "model.gguf" : folder_), options);
    if (tuned) models::attach_adapter(model, io::read_peft(folder_ / "adapter"), folder_.string(), /*trainable=*/false);
    return model;
  }
};

TEST_P(Greedy, AnswersAreTransformers) {
  for (const bool gguf : {false, true})
    for (const bool tuned : {false, true}) {
      const models::CausalLm model = load(gguf, tuned);
      const text::Tokenizer tokenizer = numbers(model.config().vocab_size);
      for (const auto& row : rows_) {
        const auto prompt = row.at("prompt").get<std::vector<int32_t>>();
        const auto expected = row.at(tuned ? "tuned" : "base").get<std::vector<int32_t>>();
        GenerateOptions options;
        options.sampler.temperature = 0;
        options.max_tokens = static_cast<int64_t>(expected.size());
        SequenceCache cache(model.config().layers);
        const Generation answer = generate(model, tokenizer, prompt, options, cache, nullptr);
        EXPECT_EQ(answer.ids, expected) << (gguf ? "GGUF" : "directory") << (tuned ? " with adapter" : "");
        EXPECT_EQ(cache.tokens(), static_cast<int64_t>(prompt.size() + expected.size()) - 1) << "each token went through the model once";
      }
    }
}

TEST_P(Greedy, ChunksOfThePromptChangeNothing) {
  const models::CausalLm model = load(/*gguf=*/false, /*tuned=*/true);
  auto ids = rows_.back().at("prompt").get<std::vector<int32_t>>();
  const auto answer = rows_.back().at("tuned").get<std::vector<int32_t>>();
  ids.insert(ids.end(), answer.begin(), answer.end());
  SequenceCache whole(model.config().layers);
  const std::vector<float> expected = next_logits(model, ids, whole, 256);
  float largest = 0;
  for (const float z : expected) largest = std::max(largest, std::abs(z));
  for (const int64_t chunk : {1, 3, 8}) {
    SequenceCache cache(model.config().layers);
    const std::vector<float> found = next_logits(model, ids, cache, chunk);
    for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 2e-5 * largest) << "token " << i << ", chunks of " << chunk;
  }
  // A forgotten tail is computed again to the same logits.
  whole.truncate(3);
  EXPECT_EQ(whole.tokens(), 3);
  const std::vector<float> again = next_logits(model, ids, whole, 256);
  for (size_t i = 0; i < again.size(); ++i) ASSERT_NEAR(again[i], expected[i], 2e-5 * largest);
}

INSTANTIATE_TEST_SUITE_P(Families, Greedy,
                         ::testing::Values("llama", "llama3_rope", "linear_rope", "qwen2", "qwen2_yarn", "qwen3", "deepseek_v2_lite", "deepseek_v2",
                                           "deepseek_v3"),
                         [](const auto& model) { return std::string(model.param); });

}  // namespace
}  // namespace hone::infer
