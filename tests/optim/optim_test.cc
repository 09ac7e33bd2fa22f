#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/json_file.h"
#include "optim/adamw.h"
#include "optim/schedule.h"

namespace hone::optim {
namespace {

TEST(Schedule, WarmsUpAndFalls) {
  Schedule s{ScheduleKind::kCosine, 10, 110, 0.1};
  EXPECT_DOUBLE_EQ(s.factor(0), 0.1);
  EXPECT_DOUBLE_EQ(s.factor(9), 1);
  EXPECT_DOUBLE_EQ(s.factor(10), 1);
  EXPECT_NEAR(s.factor(60), 0.1 + 0.9 * 0.5, 1e-12);
  EXPECT_NEAR(s.factor(110), 0.1, 1e-12);
  EXPECT_NEAR(s.factor(100000), 0.1, 1e-12);
  s.kind = ScheduleKind::kLinear;
  EXPECT_NEAR(s.factor(85), 0.1 + 0.9 * 0.25, 1e-12);
  s.kind = ScheduleKind::kConstant;
  EXPECT_DOUBLE_EQ(s.factor(109), 1);
}

// transformers' schedules, but for the warm-up, which is one step ahead: see Schedule.
TEST(Schedule, IsThatOfTransformersWithoutItsIdleStep) {
  const nlohmann::json golden = read_json(std::filesystem::path(HONE_GOLDEN_DIR) / "schedules" / "expected.json");
  const auto warmup = golden.at("warmup").get<int64_t>(), steps = golden.at("steps").get<int64_t>();
  const Schedule schedules[] = {{ScheduleKind::kCosine, warmup, steps, 0}, {ScheduleKind::kCosine, warmup, steps, 0.1}, {ScheduleKind::kLinear, warmup, steps, 0}};
  const char* names[] = {"cosine", "cosine_min", "linear"};
  for (size_t s = 0; s < 3; ++s) {
    const auto expected = golden.at(names[s]).get<std::vector<double>>();
    for (int64_t i = 0; i <= steps; ++i) EXPECT_NEAR(schedules[s].factor(i), expected[static_cast<size_t>(i < warmup ? i + 1 : i)], 1e-12) << names[s] << " " << i;
    EXPECT_EQ(expected[0], 0) << "their first step changes nothing";
    EXPECT_GT(schedules[s].factor(0), 0);
  }
}

TEST(AdamW, FirstStepMovesByTheLearningRate) {
  const std::vector<float> p0{1, -2}, g{0.5f, -3};
  const Tensor p = Tensor::from({2}, std::span<const float>(p0)), gradient = Tensor::from({2}, std::span<const float>(g));
  AdamW adamw({{"p", p, 2, 0.1f}}, {});
  adamw.step(std::vector<Tensor>{gradient}, 0.01f, 1);
  // p − lr · lr_scale · (sign(g) + decay · p)
  EXPECT_NEAR(p.data<float>()[0], 1 - 0.02 * (1 + 0.1 * 1), 1e-6);
  EXPECT_NEAR(p.data<float>()[1], -2 - 0.02 * (-1 + 0.1 * -2), 1e-6);
  EXPECT_EQ(adamw.steps(), 1);
}

TEST(AdamW, RestoresExactly) {
  const std::vector<float> values{1, 2, 3}, g{1, -1, 0.5f};
  const Tensor gradient = Tensor::from({3}, std::span<const float>(g));
  const Tensor a = Tensor::from({3}, std::span<const float>(values)), b = Tensor::from({3}, std::span<const float>(values));
  AdamW straight({{"p", a}}, {}), first({{"p", b}}, {}), second({{"p", b}}, {});
  const std::vector<Tensor> gradients{gradient};
  straight.step(gradients, 0.1f, 1);
  straight.step(gradients, 0.1f, 0.5f);
  first.step(gradients, 0.1f, 1);
  second.restore(first.steps(), first.first_moments(), first.second_moments());
  second.step(gradients, 0.1f, 0.5f);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(a.data<float>()[i], b.data<float>()[i]);
  const Tensor wrong = Tensor::zeros({4}, DType::kF32);
  EXPECT_THROW(second.restore(1, std::vector<Tensor>{wrong}, std::vector<Tensor>{wrong}), Error);
}

TEST(GlobalNorm, SeesEveryGradientAndEveryBadNumber) {
  const std::vector<float> x{3, 4}, bad{1, std::numeric_limits<float>::quiet_NaN()};
  const Tensor a = Tensor::from({2}, std::span<const float>(x)), b = Tensor::from({2}, std::span<const float>(bad));
  EXPECT_DOUBLE_EQ(global_norm(std::vector<Tensor>{a, {}, a}), std::sqrt(50.0));
  EXPECT_FALSE(std::isfinite(global_norm(std::vector<Tensor>{a, b})));
}

}  // namespace
}  // namespace hone::optim
