// How sure a score is: confidence intervals by resampling rows (Efron, 1979), and paired tests of two models on the same rows.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace hone::eval {

/// What a metric needs to know of every row, in bounded memory: once `kMaxGroups` rows are held, neighbours are added up two by two
/// and later rows join groups of that size. Rows drawn independently make groups that are independent, so resampling groups
/// estimates the same spread; up to kMaxGroups rows nothing is grouped.
class RowSums {
 public:
  static constexpr size_t kMaxGroups = 8192;

  explicit RowSums(size_t size) : size_(size), total_(size) {}
  /// `row` has size() numbers.
  void add(std::span<const double> row);

  size_t size() const { return size_; }
  int64_t rows() const { return rows_; }
  size_t groups() const { return groups_.size() / size_; }
  std::span<const double> group(size_t i) const { return {groups_.data() + i * size_, size_}; }
  std::span<const double> total() const { return total_; }

 private:
  size_t size_;
  int64_t rows_ = 0, group_rows_ = 1;
  std::vector<double> groups_, total_;
};

/// A score of a corpus from the sums over its rows.
using Score = std::function<double(std::span<const double>)>;

struct Resampling {
  int64_t samples = 1000;
  double confidence = 0.95;
  uint64_t seed = 12345;
};

struct Interval {
  double low = 0, high = 0;
};

/// Percentile interval of the score; at least one row.
Interval bootstrap_interval(const RowSums& rows, const Score& score, const Resampling& options);

struct PairedTest {
  double difference = 0;  // second − first
  Interval interval;      // of the difference, by paired bootstrap
  double p = 1;           // two-sided, by approximate randomisation (Riezler and Maxwell, 2005): (1 + more extreme) / (1 + samples)
};

/// Two models on the same rows in the same order: both have the same number of rows.
PairedTest paired_test(const RowSums& first, const RowSums& second, const Score& score, const Resampling& options);

}  // namespace hone::eval
