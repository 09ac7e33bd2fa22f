// One optimizer step, however it is cut.
#include "train/step.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "models/causal_lm.h"

namespace hone::train {
namespace {

data::Sample sample_of(int64_t tokens, uint32_t stream, int64_t vocab) {
  data::Sample sample;
  for (int64_t i = 0; i < tokens; ++i) {
    sample.ids.push_back(static_cast<int32_t>(Rng{5, stream, 0}.bits(static_cast<uint64_t>(i)) % static_cast<uint64_t>(vocab)));
    sample.loss_mask.push_back(i > tokens / 3);
  }
  return sample;
}

TEST(Cut, KeepsSegmentsWhole) {
  data::MicroBatch batch;
  for (const int64_t tokens : {3, 4, 5, 12, 1, 9, 2}) batch.append(sample_of(tokens, static_cast<uint32_t>(tokens), 50));
  const auto passes = data::cut(batch, 10);
  std::vector<int64_t> sizes;
  std::vector<int32_t> ids, labels;
  int64_t supervised = 0, segments = 0;
  for (const data::MicroBatch& pass : passes) {
    sizes.push_back(pass.tokens());
    EXPECT_EQ(pass.segment_begin.front(), 0);
    EXPECT_EQ(pass.segment_begin.back(), pass.tokens());
    EXPECT_EQ(pass.segment_begin.size(), pass.sources.size() + 1);
    for (const int32_t begin : pass.sources.empty() ? std::vector<int32_t>() : std::vector<int32_t>(pass.segment_begin.begin(), pass.segment_begin.end() - 1))
      EXPECT_EQ(pass.positions[static_cast<size_t>(begin)], 0);
    ids.insert(ids.end(), pass.ids.begin(), pass.ids.end());
    labels.insert(labels.end(), pass.labels.begin(), pass.labels.end());
    supervised += pass.supervised;
    segments += pass.segments();
  }
  EXPECT_EQ(sizes, (std::vector<int64_t>{7, 5, 12, 10, 2}));
  EXPECT_EQ(ids, batch.ids);
  EXPECT_EQ(labels, batch.labels);
  EXPECT_EQ(supervised, batch.supervised);
  EXPECT_EQ(segments, batch.segments());
  EXPECT_EQ(data::cut(batch, 36).size(), 1u);
}

TEST(PassTokens, AreWholeSamples) {
  EXPECT_EQ(pass_tokens(2048, 512), 1024);
  EXPECT_EQ(pass_tokens(2048, 2048), 2048);
  EXPECT_EQ(pass_tokens(2048, 40), 1120);
  EXPECT_EQ(pass_tokens(100, 40), 100);
  EXPECT_EQ(pass_tokens(100, 512), 100);
}

// In passes of several samples, and with every sample a micro-batch of its own: the same loss and gradients, dropout included.
TEST(Step, DoesNotDependOnHowItIsCut) {
  const auto folder = std::filesystem::path(HONE_GOLDEN_DIR) / "models" / "llama";
  models::LoadOptions load;
  load.activation = DType::kF32;
  models::CausalLm model = models::CausalLm::load(*models::ModelSource::open(folder), load);
  models::LoraOptions lora;
  lora.rank = 4;
  lora.dropout = 0.2f;
  models::add_lora(model, lora);
  data::StepBatch together, apart;
  data::MicroBatch all;
  for (uint32_t i = 0; i < 40; ++i) {
    data::Sample sample = sample_of(30 + i % 9, i, model.config().vocab_size);
    if (i % 3 == 1) sample.weights.assign(sample.ids.size(), 0.25f * static_cast<float>(i % 7));
    all.append(sample);
    apart.micro_batches.emplace_back().append(sample);
  }
  ASSERT_GT(all.tokens(), kPassTokens) << "it is cut";
  together.supervised = apart.supervised = all.supervised;
  together.micro_batches.push_back(std::move(all));
  std::vector<std::vector<float>> gradients[2];
  double sums[2];
  for (const bool cut : {false, true}) {
    clear_gradients(model);
    const LossSum loss = accumulate_gradients(model, cut ? apart : together, {.seed = 3, .step = 1, .checkpointing = false, .interrupted = {}});
    sums[cut] = loss.sum;
    EXPECT_EQ(loss.tokens, together.supervised);
    for (const auto& leaf : model.parameters()) gradients[cut].emplace_back(leaf->grad.data<float>(), leaf->grad.data<float>() + leaf->grad.elements());
  }
  EXPECT_NEAR(sums[0], sums[1], 1e-5 * sums[0]);
  double largest = 0;
  for (size_t p = 0; p < gradients[0].size(); ++p)
    for (size_t i = 0; i < gradients[0][p].size(); ++i) {
      largest = std::max(largest, static_cast<double>(std::abs(gradients[0][p][i])));
      ASSERT_NEAR(gradients[0][p][i], gradients[1][p][i], 2e-6) << "parameter " << p << ", value " << i;
    }
  EXPECT_GT(largest, 1e-4);
}

}  // namespace
}  // namespace hone::train
