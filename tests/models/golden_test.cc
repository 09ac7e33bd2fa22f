// Every family against transformers + PEFT: logits, loss, every LoRA gradient, ten AdamW steps. See tests/golden/models/make.py.
#include "models/golden_model.h"

namespace hone::models::testing {
namespace {

constexpr double kTolerance = 1e-4;
const LoadOptions kExact{.activation = DType::kF32};

class GoldenModel : public ::testing::TestWithParam<const char*> {
 protected:
  const Golden golden_{GetParam()};

  void expect_gradients(CausalLm& model, From from) const {
    const auto found = gradients(model, from);
    double largest = 0;
    for (const auto& [name, gradient] : found)
      if (golden_.has("grad." + name)) largest = std::max(largest, largest_of(golden_.tensor("grad." + name)));
    ASSERT_GT(largest, 0);
    for (const auto& [name, gradient] : found) {
      // Relative to the matrix; one that hardly moves the loss is measured against a thousandth of the largest gradient.
      if (golden_.has("grad." + name))
        EXPECT_LT(relative_error(golden_.tensor("grad." + name), gradient, 1e-3 * largest), kTolerance) << name;
      else
        EXPECT_EQ(largest_of(gradient), 0) << name << ": no token reached it in the reference";
    }
  }

  void expect_losses(const std::vector<double>& expected, const std::vector<double>& found, double tolerance) const {
    ASSERT_EQ(expected.size(), found.size());
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], tolerance * expected[i]) << "after " << i << " steps";
  }
};

TEST_P(GoldenModel, LogitsAgreeWithAndWithoutAdapter) {
  for (From from : {From::kDirectory, From::kGguf}) {
    CausalLm model = golden_.load(kExact, from);
    const char* what = from == From::kGguf ? "GGUF" : "directory";
    EXPECT_LT(relative_error(golden_.tensor("base_logits"), logits(model, golden_.all())), kTolerance) << what;
    golden_.attach(model);
    EXPECT_LT(relative_error(golden_.tensor("logits"), logits(model, golden_.all())), kTolerance) << what;
    // Far from the base, so the adapter was measured too.
    EXPECT_GT(relative_error(golden_.tensor("logits"), golden_.tensor("base_logits")), 0.05);
  }
}

TEST_P(GoldenModel, LossAndEveryGradientAgree) {
  for (From from : {From::kDirectory, From::kGguf}) {
    CausalLm model = golden_.load(kExact, from);
    golden_.attach(model);
    EXPECT_NEAR(loss_and_gradients(model, golden_.all(), golden_.scale()), golden_.number("loss"),
                kTolerance * golden_.number("loss"));
    expect_gradients(model, from);
  }
}

TEST_P(GoldenModel, PackingSamplesChangesNothing) {
  CausalLm packed = golden_.load(kExact), separate = golden_.load(kExact);
  golden_.attach(packed);
  golden_.attach(separate);
  const Tensor together = logits(packed, golden_.all());
  const double loss = loss_and_gradients(packed, golden_.all(), golden_.scale());
  double sum = 0;
  const Tensor starts = golden_.tensor("starts");
  for (int64_t s = 0; s < golden_.samples(); ++s) {
    const Batch one = golden_.batch(s, s + 1);
    const auto* start = starts.data<int32_t>();
    EXPECT_LT(relative_error(together.rows(start[s], start[s + 1]), logits(separate, one)), 1e-5) << "sample " << s;
    sum += loss_and_gradients(separate, one, golden_.scale());
  }
  EXPECT_NEAR(loss, sum, 1e-5 * loss);
  const auto expected = gradients(separate);
  for (const auto& [name, gradient] : gradients(packed)) EXPECT_LT(relative_error(expected.at(name), gradient, 1e-4), 1e-4) << name;
}

TEST_P(GoldenModel, GradientCheckpointingChangesNoBit) {
  CausalLm kept = golden_.load(kExact), recomputed = golden_.load(kExact);
  golden_.attach(kept);
  golden_.attach(recomputed);
  EXPECT_EQ(loss_and_gradients(kept, golden_.all(), golden_.scale()),
            loss_and_gradients(recomputed, golden_.all(), golden_.scale(), /*checkpointing=*/true));
  const auto expected = gradients(kept);
  for (const auto& [name, gradient] : gradients(recomputed))
    EXPECT_TRUE(std::equal(gradient.data<float>(), gradient.data<float>() + gradient.elements(), expected.at(name).data<float>()))
        << name;
}

TEST_P(GoldenModel, TenAdamWStepsAgree) {
  const auto expected = golden_.list("losses");
  CausalLm model = golden_.load(kExact);
  golden_.attach(model);
  expect_losses(expected, train(model, golden_, expected.size() - 1), kTolerance);
  EXPECT_LT(expected.back(), 0.9 * expected.front()) << "the steps must matter";
}

// Against bitsandbytes' own dequantised weights in f32, so the codes and both levels of scales must be equal.
TEST_P(GoldenModel, Nf4BaseAgreesWithBitsandbytes) {
  CausalLm model = golden_.load({.activation = DType::kF32, .base = BaseFormat::kNF4});
  golden_.attach(model);
  EXPECT_LT(relative_error(golden_.tensor("nf4_logits"), logits(model, golden_.all())), kTolerance);
  EXPECT_GT(relative_error(golden_.tensor("nf4_logits"), golden_.tensor("logits")), 10 * kTolerance);
  const auto expected = golden_.list("nf4_losses");
  expect_losses(expected, train(model, golden_, expected.size() - 1), kTolerance);
}

// bf16 rounds, and differently in each implementation: hone's distance to the f32 logits may be at most 1.25 times that of
// torch's bf16, and the losses of ten steps stay within 3 % of f32's.
TEST_P(GoldenModel, Bf16StaysAsCloseAsTorch) {
  CausalLm model = golden_.load({.activation = DType::kBF16, .base = BaseFormat::kBF16});
  golden_.attach(model);
  const Tensor exact = golden_.tensor("logits"), found = logits(model, golden_.all());
  EXPECT_LT(root_mean_square(exact, &found) / root_mean_square(exact), 1.25 * golden_.number("bf16_logit_error"));
  const auto expected = golden_.list("losses");
  expect_losses(expected, train(model, golden_, expected.size() - 1), 0.03);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenModel,
                         ::testing::Values("llama", "llama3_rope", "linear_rope", "qwen2", "qwen2_yarn", "qwen3", "deepseek_v2_lite",
                                           "deepseek_v2", "deepseek_v3"),
                         [](const auto& model) { return std::string(model.param); });

}  // namespace
}  // namespace hone::models::testing
