// The memory plan: grows with what it is asked for, and counts exactly what can be counted.
#include "train/preflight.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace hone::train {
namespace {

constexpr int64_t kPasses = 9 * 128;  // tokens of one full pass of samples of 128 (train/step.h)

models::CausalLm model_of(const char* family, models::LoadOptions options = {}) {
  models::CausalLm model = models::CausalLm::load(*models::ModelSource::open(std::filesystem::path(HONE_GOLDEN_DIR) / "models" / family), options);
  if (!options.train_all) {
    models::LoraOptions lora;
    lora.rank = 4;
    models::add_lora(model, lora);
  }
  return model;
}

uint64_t trained_bytes(models::CausalLm& model) {
  uint64_t bytes = 0;
  for (const auto& leaf : model.parameters()) bytes += leaf->value.bytes();
  return bytes;
}

TEST(MemoryPlan, CountsWhatIsTrained) {
  for (const bool all : {false, true}) {
    models::LoadOptions options;
    options.train_all = all;
    models::CausalLm model = model_of("llama", options);
    const MemoryPlan plan = plan_memory(model, {.tokens = 64, .longest = 64, .supervised = 32, .checkpointing = false, .program_bytes = 1000});
    EXPECT_EQ(plan.parameters, (all ? 1 : 2) * trained_bytes(model)) << "gradients, and values that are no weights of the model";
    EXPECT_EQ(plan.optimizer, 2 * trained_bytes(model)) << "both moments";
    EXPECT_GE(plan.program, 1000u);
    EXPECT_EQ(plan.peak(), plan.mapped + plan.weights + plan.parameters + plan.optimizer + plan.activations + plan.working + plan.program);
  }
}

TEST(MemoryPlan, GrowsWithTheQuestion) {
  for (const char* family : {"llama", "qwen2", "qwen3", "deepseek_v2_lite", "deepseek_v3"}) {
    SCOPED_TRACE(family);
    models::CausalLm model = model_of(family);
    const auto plan = [&](int64_t tokens, int64_t longest, int64_t supervised, bool checkpointing) { return plan_memory(model, {tokens, longest, supervised, checkpointing, 0}); };
    const MemoryPlan base = plan(256, 128, 128, false);
    EXPECT_GT(plan(512, 128, 128, false).activations, base.activations);
    EXPECT_GE(plan(256, 128, 256, false).peak(), base.peak());
    EXPECT_LT(plan(256, 128, 128, true).activations, base.activations) << "checkpointing keeps less";
    // The batch is cut into passes: past that, more samples take no more.
    EXPECT_EQ(plan(kPasses, 128, 128, false).activations, plan(4 * kPasses, 128, 128, false).activations);
    EXPECT_GE(plan(4 * kPasses, 4 * kPasses, 128, false).activations, plan(4 * kPasses, 128, 128, false).activations) << "one sample is never cut";
  }
}

TEST(Memory, IsReadFromTheSystem) {
  EXPECT_GT(available_memory(), 0u);
  EXPECT_GT(resident_memory(), 0u);
  EXPECT_GE(peak_resident_memory(), resident_memory() / 2);
}

}  // namespace
}  // namespace hone::train
