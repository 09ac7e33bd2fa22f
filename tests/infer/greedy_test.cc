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
      const auto model = std::make_shared<models::CausalLm>(load(gguf, tuned));
      const text::Tokenizer tokenizer = numbers(model->config().vocab_size);
      Engine engine(model, tokenizer, {});
      for (const auto& row : rows_) {
        const auto prompt = row.at("prompt").get<std::vector<int32_t>>();
        const auto expected = row.at(tuned ? "tuned" : "base").get<std::vector<int32_t>>();
        Request request;
        request.prompt = prompt;
        request.options.sampler.temperature = 0;
        request.options.max_tokens = static_cast<int64_t>(expected.size());
        EXPECT_EQ(generate(engine, request, nullptr).ids, expected) << (gguf ? "GGUF" : "directory") << (tuned ? " with adapter" : "");
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Families, Greedy,
                         ::testing::Values("llama", "llama3_rope", "linear_rope", "qwen2", "qwen2_yarn", "qwen3", "deepseek_v2_lite", "deepseek_v2",
                                           "deepseek_v3"),
                         [](const auto& model) { return std::string(model.param); });

}  // namespace
}  // namespace hone::infer
