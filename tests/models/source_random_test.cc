// Random models: right weights for every family, the same every time, usable in every storage type.
#include "models/source_random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/json_file.h"
#include "models/causal_lm.h"
#include "models/weights.h"
#include "ops/device.h"

namespace hone::models {
namespace {

const char* const kFamilies[] = {"llama", "qwen2", "qwen3", "deepseek_v2", "deepseek_v2_lite", "deepseek_v3"};

ModelConfig golden_config(const std::string& family) {
  const std::string path = std::string(HONE_GOLDEN_DIR) + "/models/" + family + "/config.json";
  return config_from_json(read_json(path), path);
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

Tensor decoded(const Tensor& t) {
  Tensor out = Tensor::empty(t.shape(), DType::kF32);
  ops::kernels_for(t).decode(ops::matrix(t), out.raw_mutable(), DType::kF32, ThreadPool::global());
  return out;
}

TEST(RandomSource, HoldsEveryWeightOfEveryFamily) {
  for (const char* family : kFamilies) {
    const RandomSource source(golden_config(family), DType::kBF16, 1, family);
    EXPECT_NO_THROW(check_weights(source)) << family;
    int64_t values = 0;
    each_weight(source.config(), [&](const Weight& weight) {
      if (source.has(weight.name)) values += weight.shape.elements();
    });
    EXPECT_EQ(source.values(), values) << family;
    EXPECT_THROW(source.tensor("model.layers.0.mlp.other.weight"), Error);
  }
}

TEST(RandomSource, IsTheSameEveryTimeAndAnotherWithAnotherSeed) {
  const ModelConfig config = golden_config("llama");
  const RandomSource a(config, DType::kBF16, 1, "a"), b(config, DType::kBF16, 1, "b"), other(config, DType::kBF16, 2, "c");
  const std::string q = "model.layers.0.self_attn.q_proj.weight", down = "model.layers.1.mlp.down_proj.weight";
  EXPECT_TRUE(same_bytes(a.tensor(down), a.tensor(down)));
  EXPECT_TRUE(same_bytes(b.tensor(q), a.tensor(q)));
  EXPECT_FALSE(same_bytes(other.tensor(q), a.tensor(q)));
  EXPECT_FALSE(same_bytes(a.tensor("model.layers.0.mlp.gate_proj.weight"), a.tensor("model.layers.0.mlp.up_proj.weight")));
}

TEST(RandomSource, HasTheDeviationOfFreshModelsInEveryType) {
  ModelConfig config = golden_config("llama");
  config.hidden_size = 512;
  config.intermediate_size = 768;
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ4_K, DType::kQ6_K}) {
    const RandomSource source(config, type, 3, "deviation");
    const Tensor stored = source.tensor("model.layers.0.mlp.up_proj.weight"), x = decoded(stored);
    EXPECT_EQ(stored.dtype(), type);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < x.elements(); ++i) sum += x.data<float>()[i], squares += std::pow(x.data<float>()[i], 2);
    const auto n = static_cast<double>(x.elements());
    EXPECT_NEAR(sum / n, 0, 1e-3) << name(type);
    EXPECT_NEAR(std::sqrt(squares / n), 0.02, 2e-3) << name(type);
    EXPECT_EQ(source.tensor("model.norm.weight").data<float>()[7], 1);
  }
}

TEST(RandomSource, StoresWhatDoesNotFitABlockAsAQuantiserWould) {
  ModelConfig config = golden_config("llama");
  config.hidden_size = 96;         // blocks of 32, not of 256
  config.intermediate_size = 100;  // neither
  config.tied_head = true;
  const RandomSource source(config, DType::kQ4_K, 1, "odd");
  EXPECT_EQ(source.tensor("model.layers.0.mlp.up_proj.weight").dtype(), DType::kQ5_0);
  EXPECT_EQ(source.tensor("model.layers.0.mlp.down_proj.weight").dtype(), DType::kBF16);
  EXPECT_EQ(source.tensor("model.embed_tokens.weight").dtype(), DType::kQ8_0);
  EXPECT_EQ(source.tensor("model.norm.weight").dtype(), DType::kF32);
}

// Loaded in every way, every family gives about the loss of guessing.
TEST(RandomSource, LoadsInEveryModeOfEveryFamily) {
  struct Mode {
    DType stored, activation;
    BaseFormat base;
  };
  for (const char* family : kFamilies)
    for (const Mode& mode : {Mode{DType::kF32, DType::kF32, BaseFormat::kAsStored}, Mode{DType::kBF16, DType::kBF16, BaseFormat::kAsStored},
                             Mode{DType::kBF16, DType::kBF16, BaseFormat::kNF4}, Mode{DType::kQ4_1, DType::kBF16, BaseFormat::kAsStored},
                             Mode{DType::kQ4_K, DType::kBF16, BaseFormat::kAsStored}, Mode{DType::kQ4_K, DType::kF32, BaseFormat::kBF16}}) {
      const RandomSource source(golden_config(family), mode.stored, 1, family);
      CausalLm model = CausalLm::load(source, {.activation = mode.activation, .base = mode.base, .max_positions = 16});
      const int32_t ids[] = {1, 2, 3, 4, 5}, positions[] = {0, 1, 2, 3, 4}, segments[] = {0, 5}, labels[] = {2, 3, 4, 5, 6};
      const nn::Sequence sequence{Tensor::from({5}, ids), Tensor::from({5}, positions), Tensor::from({2}, segments)};
      const ops::TokenLoss loss = model.loss(sequence, Tensor::from({5}, labels), 1, nn::Pass{});
      EXPECT_NEAR(loss.sum / 5, std::log(static_cast<double>(source.config().vocab_size)), 1) << family << " " << name(mode.stored);
    }
}

}  // namespace
}  // namespace hone::models
