// Bands, volatility and alarms of the panel.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "serve/panel/panel_server.h"
#include "serve/panel/record.h"

namespace hone::serve::panel {
namespace {

using recipes::advice;
using recipes::Alarm;
using recipes::Health;
using recipes::parse_bands;
using recipes::place;
using recipes::Place;
using recipes::StepReport;
using recipes::volatility;

StepReport step_of(int64_t step, double loss, double grad_norm = 1, uint64_t memory = 0) {
  StepReport r;
  r.step = step;
  r.steps = 100;
  r.loss = r.smoothed = loss;
  r.grad_norm = grad_norm;
  r.memory = memory;
  return r;
}

std::vector<std::string> kinds(const Health& health) {
  std::vector<std::string> out;
  for (const Alarm& a : health.alarms()) out.push_back(a.kind);
  return out;
}

TEST(Volatility, IsTheSpreadAroundTheTrendOverTheMean) {
  EXPECT_DOUBLE_EQ(volatility(std::vector<double>{2, 2, 2}), 0);
  EXPECT_NEAR(volatility(std::vector<double>{3.3, 2.9, 2.5, 2.1, 1.7}), 0, 1e-12);  // falls as it should
  // The line through 1, 3, 1, 3 rises by 0.4 a step and leaves −0.4, 1.2, −1.2, 0.4: √(3.2/4) over 2.
  EXPECT_NEAR(volatility(std::vector<double>{1, 3, 1, 3}), std::sqrt(0.8) / 2, 1e-12);
  EXPECT_NEAR(volatility(std::vector<double>{-1, -3, -1, -3}), std::sqrt(0.8) / 2, 1e-12);  // the sign of the mean does not matter
}

TEST(Volatility, IsNoNumberWhereItHasNoMeaning) {
  EXPECT_TRUE(std::isnan(volatility({})));
  EXPECT_TRUE(std::isnan(volatility(std::vector<double>{1, 2})));
  EXPECT_TRUE(std::isnan(volatility(std::vector<double>{1, 2, -3})));
  EXPECT_TRUE(std::isnan(volatility(std::vector<double>{1, 2, INFINITY})));
  EXPECT_TRUE(std::isnan(volatility(std::vector<double>{1, 2, NAN})));
}

TEST(Place, BoundsAreInside) {
  EXPECT_EQ(place(0.1, 0.1, 5), Place::kInside);
  EXPECT_EQ(place(5, 0.1, 5), Place::kInside);
  EXPECT_EQ(place(0.0999, 0.1, 5), Place::kBelow);
  EXPECT_EQ(place(5.0001, 0.1, 5), Place::kAbove);
  EXPECT_EQ(place(NAN, 0.1, 5), Place::kNotFinite);
  EXPECT_EQ(place(INFINITY, 0.1, 5), Place::kNotFinite);
}

TEST(Health, TakesVolatilityEveryTenSteps) {
  Health health(Bands{});
  for (int64_t step = 1; step <= 30; ++step) {
    const auto value = health.add(step_of(step, step <= 20 ? 2.0 : step % 2 ? 1.0 : 3.0 - 1e-9));
    EXPECT_EQ(value.has_value(), step % 10 == 0) << step;
    if (value) {
      EXPECT_NEAR(*value, step == 30 ? 0.4924 : 0, 1e-4);
    }
  }
  EXPECT_THAT(kinds(health), testing::Contains("volatility"));
}

TEST(Health, AGapBeginsANewWindow) {
  Health health(Bands{});
  for (int64_t step = 1; step <= 5; ++step) EXPECT_FALSE(health.add(step_of(step, 2)));
  for (int64_t step = 16; step <= 29; ++step) EXPECT_FALSE(health.add(step_of(step, 2))) << step;
  EXPECT_TRUE(health.add(step_of(30, 2)));
}

TEST(Health, TakesTheWindowOfItsSettings) {
  Bands bands;
  bands.volatility_window = 4;
  bands.volatility_max = 0.4;
  Health health(bands);
  for (int64_t step = 1; step <= 12; ++step) {
    const auto value = health.add(step_of(step, step <= 8 ? 2.0 : step % 2 ? 1.0 : 3.0));
    EXPECT_EQ(value.has_value(), step % 4 == 0) << step;
    if (value) {
      EXPECT_NEAR(*value, step == 12 ? std::sqrt(0.8) / 2 : 0, 1e-12);
    }
  }
  ASSERT_THAT(kinds(health), testing::Contains("volatility"));
  bands.volatility_max = 0.6;
  Health lenient(bands);
  for (int64_t step = 1; step <= 12; ++step) lenient.add(step_of(step, step <= 8 ? 2.0 : step % 2 ? 1.0 : 2.9));
  EXPECT_THAT(kinds(lenient), testing::Not(testing::Contains("volatility")));
}

TEST(Health, TellsOfAnAlarmWhenItBeginsAndOfAHintOnce) {
  Health health(Bands{});
  for (int64_t step = 1; step <= 500; ++step) {
    const bool high = step == 2 || step == 3 || step == 50 || step == 400, low = step == 5 || step == 450;
    health.add(step_of(step, 2, high ? 8 : low ? 0.01 : 1));
    std::vector<std::string> told;
    for (const recipes::Notice& notice : health.take_notices()) {
      told.push_back(notice.kind);
      EXPECT_EQ(notice.step, step);
      EXPECT_THAT(notice.text(), testing::AllOf(testing::HasSubstr(notice.kind), testing::HasSubstr("gradient norm"), testing::HasSubstr(advice(notice.kind))));
    }
    if (step == 2 || step == 400) EXPECT_THAT(told, testing::ElementsAre("grad_norm_high")) << step;
    else if (step == 5) EXPECT_THAT(told, testing::ElementsAre("grad_norm_low"));
    else EXPECT_TRUE(told.empty()) << step;
  }
}

TEST(Health, CollectsEachKindOnceWithItsWorstValue) {
  Health health(Bands{});
  health.add(step_of(1, 2, 1));
  EXPECT_TRUE(health.alarms().empty());
  health.add(step_of(2, 2, 6));
  health.add(step_of(3, 2, 9));
  health.add(step_of(4, 2, 7));
  health.add(step_of(5, 2, 0.05));
  ASSERT_THAT(kinds(health), testing::ElementsAre("grad_norm_high", "grad_norm_low"));
  const Alarm& high = health.alarms()[0];
  EXPECT_EQ(high.first, 2);
  EXPECT_EQ(high.last, 4);
  EXPECT_EQ(high.count, 3);
  EXPECT_DOUBLE_EQ(high.worst, 9);
  EXPECT_DOUBLE_EQ(high.bound, 5);
  EXPECT_TRUE(high.serious);
  EXPECT_FALSE(health.alarms()[1].serious);
}

TEST(Health, FollowsItsSettings) {
  Bands wide;
  wide.grad_norm_min = 0;
  wide.grad_norm_max = 1000;
  Health health(wide);
  health.add(step_of(1, 2, 999));
  health.add(step_of(2, 2, 0));
  EXPECT_TRUE(health.alarms().empty());
}

TEST(Health, SeesDivergenceOverfittingAndNumbersThatAreNone) {
  Health health(Bands{});
  health.add(step_of(1, 2));
  health.add(step_of(2, 2.9));
  EXPECT_TRUE(health.alarms().empty());
  health.add(step_of(3, 3.1));
  health.add(step_of(4, NAN, NAN));
  health.add(recipes::ValidationReport{4, 1.0, 0.5, true});
  health.add(recipes::ValidationReport{5, 1.04, 0.5, false});
  EXPECT_THAT(kinds(health), testing::ElementsAre("loss_rises", "not_finite"));
  health.add(recipes::ValidationReport{6, 1.06, 0.5, false});
  EXPECT_THAT(kinds(health), testing::ElementsAre("loss_rises", "not_finite", "overfitting"));
  for (const std::string& kind : kinds(health)) EXPECT_FALSE(advice(kind).empty()) << kind;
  EXPECT_TRUE(advice("nothing").empty());
}

// A schedule that rises for `warm_up` steps, then falls.
double rate_at(int64_t step, int64_t warm_up) { return step <= warm_up ? static_cast<double>(step) / static_cast<double>(warm_up) : 1 - 0.001 * static_cast<double>(step); }

TEST(Health, AFallingLossIsNoVolatility) {
  Health health(Bands{});
  for (int64_t step = 1; step <= 40; ++step) {
    StepReport r = step_of(step, 3.3 - 0.04 * static_cast<double>(step) + (step % 2 ? 0.02 : -0.02));
    r.learning_rate = rate_at(step, 2);
    health.add(r);
  }
  EXPECT_THAT(kinds(health), testing::IsEmpty());
}

TEST(Health, RowsThatDifferAreNoVolatility) {
  Health health(Bands{});
  double smoothed = 2;
  for (int64_t step = 1; step <= 100; ++step) {
    StepReport r = step_of(step, step % 3 == 0 ? 2.8 : 1.6);  // batches of one row
    smoothed = 0.9 * smoothed + 0.1 * r.loss;
    r.smoothed = smoothed;
    health.add(r);
  }
  EXPECT_THAT(kinds(health), testing::IsEmpty());
}

TEST(Health, WarmUpRaisesNoVolatility) {
  for (const int64_t warm_up : {1, 15}) {
    Health health(Bands{});
    for (int64_t step = 1; step <= 40; ++step) {
      StepReport r = step_of(step, step % 2 ? 2.5 : 2.0);
      r.learning_rate = 1e-4 * rate_at(step, warm_up);
      r.rate_factor = step > 5 ? 4 : 1;  // the panel's wish is no warm-up
      r.learning_rate *= r.rate_factor;
      health.add(r);
    }
    ASSERT_THAT(kinds(health), testing::ElementsAre("volatility")) << warm_up;
    EXPECT_EQ(health.alarms()[0].first, warm_up == 1 ? 10 : 30) << "the first window that lies behind the warm-up";
  }
}

TEST(Health, LossesNearZeroRaiseNoAlarm) {
  Health health(Bands{});
  for (int64_t step = 1; step <= 40; ++step) health.add(step_of(step, step % 2 ? 0.01 : 0.03));
  health.add(recipes::ValidationReport{40, 0.010, 1, true});
  health.add(recipes::ValidationReport{41, 0.012, 1, false});
  EXPECT_THAT(kinds(health), testing::IsEmpty());
}

TEST(Health, TellsSharesInPerCent) {
  EXPECT_THAT((recipes::Notice{"volatility", true, 10, 0.2365, 0.05}.text()), testing::HasSubstr(" 23.6 %, bound 5 %: "));
  EXPECT_THAT((recipes::Notice{"memory_high", true, 10, 0.953, 0.9}.text()), testing::HasSubstr(" 95.3 %, bound 90 %: "));
  EXPECT_THAT((recipes::Notice{"grad_norm_high", true, 10, 9.125, 5}.text()), testing::HasSubstr(" 9.125, bound 5: "));
}

TEST(Health, MemoryThatIsLeftOverIsToldOnlyWhereItWouldHelp) {
  Health idle(Bands{}, 1000), cramped(Bands{}, 1000, /*room_helps=*/true);
  for (Health* health : {&idle, &cramped}) health->add_memory(1, 13);
  EXPECT_THAT(kinds(idle), testing::IsEmpty());
  EXPECT_THAT(kinds(cramped), testing::ElementsAre("memory_low"));
}

TEST(Health, JudgesMemoryOnlyAgainstALimit) {
  Health unknown(Bands{}), known(Bands{}, 1000, /*room_helps=*/true);
  unknown.add(step_of(1, 2, 1, 999));
  EXPECT_TRUE(unknown.alarms().empty());
  known.add(step_of(1, 2, 1, 800));
  EXPECT_TRUE(known.alarms().empty());
  known.add_memory(1, 901);
  known.add_memory(1, 699);
  EXPECT_THAT(kinds(known), testing::ElementsAre("memory_high", "memory_low"));
}

TEST(Health, CountsAStepOnceHoweverOftenItsMemoryIsSampled) {
  Health health(Bands{}, 1000);
  for (const uint64_t bytes : {910, 950, 920}) health.add_memory(1, bytes);
  health.add_memory(2, 800);
  health.add(step_of(3, 2, 1, 930));
  for (const uint64_t bytes : {940, 905}) health.add_memory(3, bytes);
  ASSERT_THAT(kinds(health), testing::ElementsAre("memory_high"));
  const Alarm& high = health.alarms()[0];
  EXPECT_EQ(high.count, 2);
  EXPECT_EQ(high.first, 1);
  EXPECT_EQ(high.last, 3);
  EXPECT_DOUBLE_EQ(high.worst, 0.95);
}

TEST(Record, BeginsWithWhatAnEarlyPageLacks) {
  Bands bands;
  bands.grad_norm_max = 7;
  Record record(bands, 1000);
  const Json begun = record.begin(recipes::TrainPlan()), whole = record.snapshot();
  EXPECT_EQ(begun["settings"]["grad_norm_max"], 7);
  EXPECT_EQ(begun["memory_limit"], 1000);
  for (const char* name : {"run", "steps", "settings", "memory_limit", "room_helps"}) EXPECT_EQ(begun[name], whole[name]) << name;
}

TEST(Record, ThinningKeepsPeaksAndEnds) {
  std::vector<StepReport> points;
  for (int64_t step = 1; step <= 1001; ++step) {
    points.push_back(step_of(step, 2));
    if (step == 500 || step == 703) points.back().loss = 50;
    if (step == 900) points.back().loss = NAN;
  }
  const auto kept = thinned(points);
  EXPECT_LT(kept.size(), 510u);
  EXPECT_EQ(kept.front().step, 1);
  EXPECT_EQ(kept.back().step, 1001);
  for (const int64_t peak : {500, 703, 900}) EXPECT_TRUE(std::any_of(kept.begin(), kept.end(), [&](const auto& r) { return r.step == peak; })) << peak;
  for (size_t i = 1; i < kept.size(); ++i) EXPECT_LT(kept[i - 1].step, kept[i].step);
}

TEST(Record, ManyStepsAreThinnedEvenly) {
  constexpr int64_t kSteps = 150'000;  // more than it holds
  Record record(Bands{}, 0);
  for (int64_t step = 1; step <= kSteps; ++step) {
    StepReport report = step_of(step, 2, step == 123'456 || step == 149'999 ? 8 : 1);
    if (step == 77'777) report.loss = 50;
    record.add(report);
  }
  const Json json = record.snapshot();
  const Json& points = json["points"];
  EXPECT_LE(points.size(), (size_t{1} << 17) + 1);
  EXPECT_EQ(points.front()[0], 1);
  EXPECT_EQ(points.back()[0], kSteps);
  std::vector<size_t> tenths(10);
  std::set<int64_t> kept;
  for (const Json& row : points) {
    kept.insert(row[0].get<int64_t>());
    ++tenths[static_cast<size_t>((row[0].get<int64_t>() - 1) * 10 / kSteps)];
  }
  EXPECT_EQ(kept.size(), points.size());
  for (const int64_t peak : {77'777, 123'456, 149'999}) EXPECT_EQ(kept.count(peak), 1u) << peak;
  for (const size_t tenth : tenths) EXPECT_NEAR(static_cast<double>(tenth), static_cast<double>(points.size()) / 10, 64);
}

TEST(Record, TellsOfAlarmsOnlyWhenTheyChanged) {
  Record record(Bands{}, 0);
  record.add(step_of(1, 2));
  EXPECT_TRUE(record.changed_alarms().is_null());
  record.add(step_of(2, 2, 8));
  EXPECT_EQ(record.changed_alarms()["alarms"][0]["kind"], "grad_norm_high");
  EXPECT_TRUE(record.changed_alarms().is_null());
  EXPECT_EQ(record.snapshot()["points"].size(), 2u);
  EXPECT_NE(record.metrics().find("hone_train_alarms{kind=\"grad_norm_high\"} 1"), std::string::npos);
}

TEST(BandsText, SetsWhatItNames) {
  const Bands some = parse_bands("volatility=0.2,grad_norm=0.01:20");
  EXPECT_DOUBLE_EQ(some.volatility_max, 0.2);
  EXPECT_DOUBLE_EQ(some.grad_norm_min, 0.01);
  EXPECT_DOUBLE_EQ(some.grad_norm_max, 20);
  EXPECT_DOUBLE_EQ(some.memory_max, 0.9);
  EXPECT_DOUBLE_EQ(parse_bands("memory=0.1:0.5").memory_min, 0.1);
  EXPECT_DOUBLE_EQ(parse_bands("").grad_norm_max, 5);
  Bands before;
  before.volatility_max = 0.4;
  before.grad_norm_max = 7;
  EXPECT_DOUBLE_EQ(parse_bands("grad_norm=1:2", before).volatility_max, 0.4);
  EXPECT_DOUBLE_EQ(parse_bands("grad_norm=1:2", before).grad_norm_max, 2);
  for (const char* wrong : {"grad_norm", "grad_norm=5", "grad_norm=5:1", "memory=0:2", "volatility=x", "volatility=nan", "speed=1:2", "volatility=-1", "grad_norm=1:2:3"}) EXPECT_THROW(parse_bands(wrong), Error) << wrong;
}

http::ServerOptions address(const std::string& text) {
  http::ServerOptions server = PanelOptions::default_server();
  parse_address(text, server);
  return server;
}

TEST(PanelAddress, TakesEveryForm) {
  EXPECT_EQ(address("").host, "127.0.0.1");
  EXPECT_EQ(address("").port, kDefaultPort);
  EXPECT_EQ(address("0").port, 0);
  EXPECT_EQ(address(":8000").port, 8000);
  EXPECT_EQ(address("localhost").host, "localhost");
  EXPECT_EQ(address("localhost:81").port, 81);
  EXPECT_EQ(address("[::1]:82").host, "::1");
  EXPECT_EQ(address("[::1]:82").port, 82);
  EXPECT_EQ(address("::1").host, "::1");
  for (const char* wrong : {"localhost:x", "70000", "localhost:", "a:-1"}) EXPECT_THROW(address(wrong), Error) << wrong;
}

}  // namespace
}  // namespace hone::serve::panel
