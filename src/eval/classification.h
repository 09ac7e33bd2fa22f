// Precision, recall and F1 of labels, with the averages of scikit-learn's precision_recall_fscore_support.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace hone::eval {

/// A share with nothing to divide by is 0.
struct PrecisionRecall {
  double precision = 0, recall = 0, f1 = 0;
  int64_t support = 0;  // how often the class was expected
};
/// From hits and how often the class was predicted and expected.
PrecisionRecall precision_recall(double hits, double predicted, double expected);

/// Every class that was predicted or expected, and the averages over them.
struct ClassReport {
  PrecisionRecall micro, macro, weighted;  // weighted: by support
  std::map<std::string, PrecisionRecall> classes;
};

/// How often each class was hit, predicted and expected.
class ClassCounts {
 public:
  struct Count {
    int64_t hits = 0, predicted = 0, expected = 0;
  };
  /// At most so many different classes; beyond that the texts are no labels, and add() throws Error{kInvalidInput}.
  static constexpr size_t kMaxClasses = 10000;

  void add(std::string_view name, const Count& count);
  const std::map<std::string, Count, std::less<>>& counts() const { return counts_; }
  ClassReport report() const;

 private:
  std::map<std::string, Count, std::less<>> counts_;
};

/// Labels of rows: one predicted and one expected label each.
class LabelCounts {
 public:
  void add(std::string_view predicted, std::string_view expected);
  int64_t rows() const { return rows_; }
  double accuracy() const { return rows_ ? static_cast<double>(hits_) / static_cast<double>(rows_) : 0; }
  ClassReport report() const { return counts_.report(); }

 private:
  ClassCounts counts_;
  int64_t rows_ = 0, hits_ = 0;
};

}  // namespace hone::eval
