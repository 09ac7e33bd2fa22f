#include <gmock/gmock.h>

#include <map>
#include <set>

#include "data/permutation.h"
#include "data/row_order.h"
#include "data/row_set.h"
#include "data_fixture.h"

namespace hone::data {
namespace {

TEST(Permutation, VisitsEveryRowOnce) {
  for (const uint64_t n : {1u, 2u, 3u, 7u, 255u, 256u, 257u, 1000u, 65537u}) {
    const Permutation order({42, Rng::kShuffle, 3}, n);
    std::vector<bool> seen(n, false);
    for (uint64_t i = 0; i < n; ++i) {
      const uint64_t at = order.at(i);
      ASSERT_LT(at, n);
      ASSERT_FALSE(seen[at]) << "n " << n << " position " << i;
      seen[at] = true;
    }
  }
}

TEST(Permutation, DependsOnSeedAndStep) {
  const auto list = [](Rng rng) {
    std::vector<uint64_t> order;
    for (uint64_t i = 0; i < 100; ++i) order.push_back(Permutation(rng, 100).at(i));
    return order;
  };
  EXPECT_EQ(list({1, 2, 3}), list({1, 2, 3}));
  EXPECT_NE(list({1, 2, 3}), list({2, 2, 3}));
  EXPECT_NE(list({1, 2, 3}), list({1, 3, 3}));
  EXPECT_NE(list({1, 2, 3}), list({1, 2, 4}));
}

// Over many seeds each of n! orders is equally likely: χ² with 23 degrees of freedom is below 49.7 with p = 0.999.
TEST(Permutation, IsFair) {
  std::map<std::vector<uint64_t>, int> count;
  const int seeds = 24 * 200;
  for (int seed = 0; seed < seeds; ++seed) {
    const Permutation order({static_cast<uint64_t>(seed), 2, 0}, 4);
    ++count[{order.at(0), order.at(1), order.at(2), order.at(3)}];
  }
  double chi2 = 0;
  for (const auto& [order, n] : count) chi2 += (n - 200.0) * (n - 200.0) / 200.0;
  EXPECT_EQ(count.size(), 24u);
  EXPECT_LT(chi2, 49.7);
}

TEST(RowSet, SelectsMembersAndOthers) {
  const Rng rng{7, 99, 0};
  for (const uint64_t n : {1u, 63u, 64u, 65u, 511u, 512u, 513u, 5000u}) {
    for (const float share : {0.0f, 0.01f, 0.5f, 1.0f}) {
      RowSet set;
      std::vector<uint64_t> members, others;
      for (uint64_t row = 0; row < n; ++row) {
        const bool member = rng.uniform(row) < share;
        set.push_back(member);
        (member ? members : others).push_back(row);
      }
      set.seal();
      ASSERT_EQ(set.count(), members.size());
      ASSERT_EQ(set.count_others(), others.size());
      for (uint64_t k = 0; k < members.size(); ++k) ASSERT_EQ(set.select(k, true), members[k]);
      for (uint64_t k = 0; k < others.size(); ++k) ASSERT_EQ(set.select(k, false), others[k]);
    }
  }
}

std::string numbered(const std::string& prefix, int rows) {
  std::string bytes;
  for (int i = 0; i < rows; ++i) bytes += "{\"text\":\"" + prefix + std::to_string(i) + "\"}\n";
  return bytes;
}

class OrderTest : public ::testing::Test {
 protected:
  std::vector<Dataset> open(const std::vector<std::pair<int, double>>& sizes) {
    std::vector<Dataset> datasets;
    for (const auto& [rows, weight] : sizes) {
      DatasetConfig one;
      one.path = folder_.file("d" + std::to_string(datasets.size()) + ".jsonl", numbered("row ", rows));
      one.weight = weight;
      datasets.emplace_back(one, DataConfig{}, static_cast<uint32_t>(datasets.size()), false);
    }
    return datasets;
  }
  static std::map<std::pair<uint32_t, uint64_t>, int> visits(const EpochOrder& order) {
    std::map<std::pair<uint32_t, uint64_t>, int> count;
    for (uint64_t i = 0; i < order.size(); ++i) ++count[{order.at(i).dataset, order.at(i).row}];
    return count;
  }
  TempFolder folder_;
};

TEST_F(OrderTest, WeightsAreEpochsPerEpoch) {
  const auto datasets = open({{100, 1}, {40, 2}, {80, 0.25}, {10, 1.5}});
  std::map<std::pair<uint32_t, uint64_t>, int> total;
  std::set<uint64_t> first_quarter;
  for (uint64_t epoch = 0; epoch < 4; ++epoch) {
    const EpochOrder order(datasets, 5, /*shuffle=*/true, epoch);
    ASSERT_EQ(order.size(), 100u + 80u + 20u + 15u);
    std::map<uint32_t, int> of_dataset;
    for (const auto& [row, n] : visits(order)) {
      of_dataset[row.first] += n;
      total[row] += n;
      if (row.first == 0) {
        EXPECT_EQ(n, 1);
      }
      if (row.first == 1) {
        EXPECT_EQ(n, 2);
      }
      if (row.first == 2) {
        EXPECT_EQ(n, 1);
      }
    }
    EXPECT_EQ(of_dataset, (std::map<uint32_t, int>{{0, 100}, {1, 80}, {2, 20}, {3, 15}}));
  }
  // Over four epochs a weight of 0.25 has shown every row once, 1.5 every row six times.
  for (uint64_t row = 0; row < 80; ++row) EXPECT_EQ((total[{2, row}]), 1);
  for (uint64_t row = 0; row < 10; ++row) EXPECT_EQ((total[{3, row}]), 6);
}

TEST_F(OrderTest, EpochsDifferAndDatasetsMix) {
  const auto datasets = open({{200, 1}, {200, 1}});
  const auto list = [&](uint64_t seed, bool shuffle, uint64_t epoch) {
    const EpochOrder order(datasets, seed, shuffle, epoch);
    std::vector<std::pair<uint32_t, uint64_t>> rows;
    for (uint64_t i = 0; i < order.size(); ++i) rows.emplace_back(order.at(i).dataset, order.at(i).row);
    return rows;
  };
  EXPECT_EQ(list(1, true, 0), list(1, true, 0));
  EXPECT_NE(list(1, true, 0), list(1, true, 1));
  EXPECT_NE(list(1, true, 0), list(2, true, 0));
  const auto shuffled = list(1, true, 0);
  int first_half = 0;
  for (size_t i = 0; i < 200; ++i) first_half += shuffled[i].first == 0;
  EXPECT_GT(first_half, 70);
  EXPECT_LT(first_half, 130);
  const auto plain = list(1, false, 3);
  for (size_t i = 0; i < 400; ++i) EXPECT_EQ(plain[i], (std::pair<uint32_t, uint64_t>(i / 200, i % 200)));
}

class SplitTest : public ::testing::Test {
 protected:
  std::set<std::string> validation(const std::vector<std::string>& rows, uint64_t seed, double share) {
    std::string bytes;
    for (const std::string& row : rows) bytes += "{\"text\":\"" + row + "\"}\n";
    DatasetConfig one;
    one.path = folder_.file("rows.jsonl", bytes);
    DataConfig config;
    config.seed = seed;
    config.validation_share = share;
    const Dataset dataset(one, config, 0, false);
    EXPECT_EQ(dataset.training_rows() + dataset.validation_rows(), rows.size());
    std::set<std::string> found;
    for (uint64_t k = 0; k < dataset.validation_rows(); ++k) found.insert(rows[dataset.validation_row(k)]);
    for (uint64_t k = 0; k < dataset.training_rows(); ++k) EXPECT_FALSE(found.contains(rows[dataset.training_row(k)]));
    return found;
  }
  TempFolder folder_;
};

TEST_F(SplitTest, AddingAndRemovingRowsMovesNoOther) {
  std::vector<std::string> rows;
  for (int i = 0; i < 1000; ++i) rows.push_back("row " + std::to_string(i));
  const auto before = validation(rows, 3, 0.1);
  EXPECT_GT(before.size(), 65u);
  EXPECT_LT(before.size(), 135u);
  EXPECT_EQ(validation(rows, 3, 0.1), before);
  EXPECT_NE(validation(rows, 4, 0.1), before);
  std::vector<std::string> more;
  for (int i = 999; i >= 0; --i) {
    more.push_back("new " + std::to_string(i));
    if (i % 3 != 0) more.push_back(rows[static_cast<size_t>(i)]);
  }
  const auto after = validation(more, 3, 0.1);
  for (int i = 0; i < 1000; ++i) {
    const auto& row = rows[static_cast<size_t>(i)];
    if (i % 3 != 0) {
      EXPECT_EQ(after.contains(row), before.contains(row)) << row;
    }
  }
}

TEST_F(SplitTest, EqualRowsStayTogetherAndNoSideIsEmpty) {
  std::vector<std::string> twice;
  for (int i = 0; i < 200; ++i) twice.push_back("row " + std::to_string(i / 2));
  validation(twice, 1, 0.5);  // fails when a row is on both sides
  EXPECT_EQ(validation({"a", "b", "c"}, 1, 1e-9).size(), 1u);
  EXPECT_EQ(validation({"a", "b", "c"}, 1, 0.999999999).size(), 2u);
  EXPECT_EQ(validation({"a", "b", "c"}, 1, 0).size(), 0u);
}

TEST(RowHash, IsTheSameEverywhere) {
  // Fixed values: a change here would move rows of every existing split.
  EXPECT_EQ(row_hash("", 0), row_hash("", 0));
  EXPECT_NE(row_hash("a", 0), row_hash(std::string_view("a\0", 2), 0));
  EXPECT_NE(row_hash("12345678", 0), row_hash("12345679", 0));
  EXPECT_EQ(row_hash("hone", 1), 6109495090259093387u);
  EXPECT_EQ(row_hash("the quick brown fox", 2), 2246064770908124575u);
}

}  // namespace
}  // namespace hone::data
