#include "data/problem.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

namespace hone::data {
namespace {

struct KindRow {
  std::string_view name;
  bool malformed;
};

constexpr std::array<KindRow, kProblemKinds> kKinds = {{
    {"row too large", true},
    {"not UTF-8", true},
    {"bad JSON", true},
    {"nested too deep", true},
    {"not an object", true},
    {"bad CSV", true},
    {"missing key", true},
    {"wrong type", true},
    {"empty conversation", true},
    {"unknown role", true},
    {"role order", true},
    {"empty prompt", true},
    {"empty answer", true},
    {"empty text", true},
    {"refused by the template", true},
    {"refused field", true},
    {"order of turns", false},
    {"too long", false},
    {"nothing supervised", false},
}};

}  // namespace

std::string_view name(ProblemKind kind) { return kKinds[static_cast<size_t>(kind)].name; }

bool is_malformed(ProblemKind kind) { return kKinds[static_cast<size_t>(kind)].malformed; }

std::string Problem::text() const { return fmt::format("{}:{}: {}: {}", file, line, name(kind), message); }

void ProblemTally::add(Problem problem) {
  ++count[static_cast<size_t>(problem.kind)];
  if (first.size() < kKept) first.push_back(std::move(problem));
}

void ProblemTally::merge(const ProblemTally& other) {
  for (size_t i = 0; i < count.size(); ++i) count[i] += other.count[i];
  for (const Problem& problem : other.first) {
    if (first.size() < kKept) first.push_back(problem);
  }
}

int64_t ProblemTally::malformed() const {
  int64_t sum = 0;
  for (size_t i = 0; i < count.size(); ++i) {
    if (kKinds[i].malformed) sum += count[i];
  }
  return sum;
}

int64_t ProblemTally::total() const { return std::accumulate(count.begin(), count.end(), int64_t{0}); }

std::string ProblemTally::summary() const {
  std::string text;
  for (size_t i = 0; i < count.size(); ++i) {
    if (count[i] == 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} × {}", count[i], kKinds[i].name);
  }
  return text;
}

}  // namespace hone::data
