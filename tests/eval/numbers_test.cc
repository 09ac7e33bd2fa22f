// Labels, entities, correlations, agreement and significance against the packages that define them.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/json_file.h"
#include "eval/agreement.h"
#include "eval/bleu.h"
#include "eval/bootstrap.h"
#include "eval/classification.h"
#include "eval/correlation.h"
#include "eval/entities.h"
#include "eval/ratings.h"

namespace hone::eval {
namespace {

using Json = nlohmann::json;
constexpr double kClose = 1e-6;

const Json& golden() {
  static const Json value = read_json(HONE_GOLDEN_DIR "/metrics/numbers.json");
  return value;
}

void expect_near(const PrecisionRecall& found, const Json& expected, const std::string& what) {
  EXPECT_NEAR(found.precision, expected[0].get<double>(), kClose) << what;
  EXPECT_NEAR(found.recall, expected[1].get<double>(), kClose) << what;
  EXPECT_NEAR(found.f1, expected[2].get<double>(), kClose) << what;
}

void expect_report(const ClassReport& report, const Json& expected) {
  expect_near(report.micro, expected["micro"], "micro");
  expect_near(report.macro, expected["macro"], "macro");
  expect_near(report.weighted, expected["weighted"], "weighted");
  ASSERT_EQ(report.classes.size(), expected["classes"].size());
  for (const auto& [name, score] : expected["classes"].items()) {
    ASSERT_TRUE(report.classes.contains(name)) << name;
    expect_near(report.classes.at(name), score, name);
    EXPECT_EQ(static_cast<double>(report.classes.at(name).support), score[3].get<double>());
  }
}

void expect_optional(const std::optional<double>& found, const Json& expected, const std::string& what) {
  ASSERT_EQ(found.has_value(), !expected.is_null()) << what;
  if (!found) return;
  EXPECT_NEAR(*found, expected.get<double>(), kClose) << what;
}

TEST(Labels, EqualScikitLearn) {
  for (const Json& c : golden().at("labels")) {
    LabelCounts counts;
    for (size_t i = 0; i < c["expected"].size(); ++i) counts.add(c["predicted"][i].get<std::string>(), c["expected"][i].get<std::string>());
    EXPECT_NEAR(counts.accuracy(), c["accuracy"].get<double>(), kClose);
    expect_report(counts.report(), c);
  }
}

TEST(Labels, RefuseWhatIsNoLabel) {
  ClassCounts counts;
  for (size_t i = 0; i < ClassCounts::kMaxClasses; ++i) counts.add(std::to_string(i), {});
  EXPECT_THROW(counts.add("one more", {}), Error);
}

TEST(Entities, EqualSeqevalStrictIob2) {
  for (const Json& c : golden().at("entities")) {
    ClassCounts counts;
    for (size_t i = 0; i < c["expected"].size(); ++i) count_entities(c["predicted"][i], c["expected"][i], "test", counts);
    expect_report(counts.report(), c);
  }
}

TEST(Entities, RefuseOtherTags) {
  ClassCounts counts;
  EXPECT_THROW(entities_of({"O", "X-PER"}, "test"), Error);
  EXPECT_THROW(entities_of({""}, "test"), Error);
  EXPECT_THROW(count_entities({"O"}, {"O", "O"}, "test", counts), Error);
}

TEST(Correlation, EqualsScipy) {
  for (const Json& c : golden().at("correlations")) {
    const std::vector<double> x = c["x"], y = c["y"];
    expect_optional(pearson(x, y), c["pearson"], "pearson");
    expect_optional(spearman(x, y), c["spearman"], "spearman");
    expect_optional(kendall_tau_b(x, y), c["kendall"], "kendall");
  }
  EXPECT_FALSE(pearson(std::vector<double>{1}, std::vector<double>{2}));
}

TEST(Agreement, EqualsThePackages) {
  for (const Json& c : golden().at("agreement")) {
    RatingTable table;
    for (const Json& row : c["table"]) {
      auto& unit = table.emplace_back();
      for (const Json& value : row) unit.push_back(value.is_null() ? NAN : value.get<double>());
    }
    expect_optional(krippendorff_alpha(table, Level::kNominal), c["nominal"], "nominal");
    expect_optional(krippendorff_alpha(table, Level::kOrdinal), c["ordinal"], "ordinal");
    expect_optional(krippendorff_alpha(table, Level::kInterval), c["interval"], "interval");
    expect_optional(fleiss_kappa(table), c["fleiss"], "fleiss");
    std::vector<double> a, b;
    for (const auto& unit : table)
      if (!std::isnan(unit[0]) && !std::isnan(unit[1])) a.push_back(unit[0]), b.push_back(unit[1]);
    expect_optional(cohen_kappa(a, b, Weights::kNone), c["cohen"]["none"], "cohen");
    expect_optional(cohen_kappa(a, b, Weights::kLinear), c["cohen"]["linear"], "cohen, linear");
    expect_optional(cohen_kappa(a, b, Weights::kQuadratic), c["cohen"]["quadratic"], "cohen, quadratic");
  }
  EXPECT_FALSE(krippendorff_alpha({{1, NAN}, {NAN, 2}}, Level::kOrdinal));
  EXPECT_FALSE(krippendorff_alpha({{3, 3}, {3, 3}}, Level::kOrdinal));
}

TEST(SignTest, EqualsTheBinomialTest) {
  for (const Json& c : golden().at("sign_test")) EXPECT_NEAR(sign_test(c[0], c[1]), c[2].get<double>(), kClose);
}

// Random draws differ from sacreBLEU's, so its figures are met within the spread of such draws.
TEST(Significance, AgreesWithSacrebleu) {
  for (const Json& c : golden().at("significance")) {
    RowSums first(kBleuSize), second(kBleuSize);
    for (size_t i = 0; i < c["first"].size(); ++i) {
      const std::vector<std::string> reference = {c["references"][i]};
      first.add(bleu_counts(c["first"][i].get<std::string>(), reference, BleuTokenizer::k13a));
      second.add(bleu_counts(c["second"][i].get<std::string>(), reference, BleuTokenizer::k13a));
    }
    const Score score = [](std::span<const double> sums) { return bleu(sums).score; };
    const Resampling options{4000, 0.95, 7};
    const PairedTest test = paired_test(first, second, score, options);
    const double p = c["ar_p"];
    EXPECT_NEAR(test.p, p, 5 * std::sqrt(2 * p * (1 - p) / 4000) + 1e-3);
    const Interval interval = bootstrap_interval(second, score, options);
    const double width = c["half_width"];
    EXPECT_NEAR((interval.low + interval.high) / 2, c["mean"].get<double>(), 0.2 * width);
    EXPECT_NEAR((interval.high - interval.low) / 2, width, 0.1 * width);
    EXPECT_LT(test.interval.low, test.difference);
    EXPECT_GT(test.interval.high, test.difference);
  }
}

// Few rows: every way of swapping can be counted.
TEST(Significance, ApproachesTheExactPermutationTest) {
  const std::vector<double> a = {0.2, 0.5, 0.1, 0.7, 0.4, 0.3, 0.6, 0.2}, b = {0.5, 0.6, 0.1, 0.9, 0.7, 0.2, 0.8, 0.4};
  RowSums first(1), second(1);
  for (size_t i = 0; i < a.size(); ++i) first.add({&a[i], 1}), second.add({&b[i], 1});
  double observed = 0, extreme = 0;
  for (size_t i = 0; i < a.size(); ++i) observed += b[i] - a[i];
  for (unsigned mask = 0; mask < 256; ++mask) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += (mask >> i & 1 ? -1 : 1) * (b[i] - a[i]);
    extreme += std::abs(sum) >= std::abs(observed) - 1e-12;
  }
  const PairedTest test = paired_test(first, second, [](std::span<const double> s) { return s[0]; }, {20000, 0.95, 1});
  EXPECT_NEAR(test.p, extreme / 256, 0.006);
  const PairedTest same = paired_test(first, first, [](std::span<const double> s) { return s[0]; }, {500, 0.95, 1});
  EXPECT_EQ(same.p, 1);
  EXPECT_EQ(same.difference, 0);
}

TEST(RowSums, GroupsRowsWithoutLosingAny) {
  const auto interval_of = [](int64_t rows, size_t& groups) {
    RowSums sums(2);
    for (int64_t i = 0; i < rows; ++i) {
      const double row[] = {static_cast<double>(i * 7919 % 10 < 3), 1};
      sums.add(row);
    }
    groups = sums.groups();
    EXPECT_EQ(sums.rows(), rows);
    EXPECT_EQ(sums.total()[1], static_cast<double>(rows));
    return bootstrap_interval(sums, [](std::span<const double> s) { return s[0] / s[1]; }, {400, 0.95, 3});
  };
  size_t groups = 0;
  interval_of(8192, groups);
  EXPECT_EQ(groups, 8192u);
  interval_of(8193, groups);
  EXPECT_EQ(groups, 4097u);
  EXPECT_LE(interval_of(100000, groups).high, 0.31);
  EXPECT_LE(groups, RowSums::kMaxGroups);
}

}  // namespace
}  // namespace hone::eval
