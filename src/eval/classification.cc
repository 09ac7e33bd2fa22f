#include "eval/classification.h"

#include "base/error.h"

namespace hone::eval {
namespace {

void add_share(PrecisionRecall& sum, const PrecisionRecall& part, double share) {
  sum.precision += share * part.precision;
  sum.recall += share * part.recall;
  sum.f1 += share * part.f1;
}

}  // namespace

PrecisionRecall precision_recall(double hits, double predicted, double expected) {
  PrecisionRecall r;
  r.precision = predicted > 0 ? hits / predicted : 0;
  r.recall = expected > 0 ? hits / expected : 0;
  r.f1 = predicted + expected > 0 ? 2 * hits / (predicted + expected) : 0;
  r.support = static_cast<int64_t>(expected);
  return r;
}

void ClassCounts::add(std::string_view name, const Count& count) {
  auto it = counts_.find(name);
  if (it == counts_.end()) {
    if (counts_.size() == kMaxClasses)
      throw Error(ErrorCode::kInvalidInput, "labels", fmt::format("there are more than {} different labels", kMaxClasses), "class scores are for rows whose answer is one of a few labels: leave them out of the metrics");
    it = counts_.emplace(name, Count{}).first;
  }
  it->second.hits += count.hits;
  it->second.predicted += count.predicted;
  it->second.expected += count.expected;
}

ClassReport ClassCounts::report() const {
  ClassReport report;
  Count all;
  for (const auto& [name, n] : counts_) all.hits += n.hits, all.predicted += n.predicted, all.expected += n.expected;
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  report.micro = precision_recall(number(all.hits), number(all.predicted), number(all.expected));
  report.macro.support = report.weighted.support = all.expected;
  for (const auto& [name, n] : counts_) {
    const PrecisionRecall r = report.classes[name] = precision_recall(number(n.hits), number(n.predicted), number(n.expected));
    add_share(report.macro, r, 1 / static_cast<double>(counts_.size()));
    if (all.expected) add_share(report.weighted, r, number(n.expected) / number(all.expected));
  }
  return report;
}

void LabelCounts::add(std::string_view predicted, std::string_view expected) {
  const bool hit = predicted == expected;
  ++rows_;
  hits_ += hit;
  counts_.add(expected, {hit, 0, 1});
  counts_.add(predicted, {0, 1, 0});
}

}  // namespace hone::eval
