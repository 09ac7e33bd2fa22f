// One number for a model: automatic metrics and people's ratings, each brought to 0 … 100 and weighted.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace hone::eval {

/// How a score counts: 0 points at `worst`, 100 at `best`, a straight line between and beyond the ends no more. `best` may be the
/// smaller one, as for perplexity.
struct ScoreWeight {
  double weight = 1, worst = 0, best = 1;

  double points(double value) const;
  bool operator==(const ScoreWeight&) const = default;
};

struct ScoreSettings {
  double automatic = 0.4, human = 0.6;           // shares of the two parts; only their ratio counts
  std::array<double, 3> dimensions = {1, 1, 1};  // relevance, fluency, professionalism
  std::map<std::string, ScoreWeight> metrics;    // by score; those that are not named do not count

  /// BLEU, chrF, ROUGE-L, exact match, accuracy, macro F1 and entity F1, equally weighted from their worst to their best value.
  static ScoreSettings standard();
  bool operator==(const ScoreSettings&) const = default;
};

/// The weighted mean of points over the scores that are named in the settings and present; nothing when there are none.
struct NamedValue {
  std::string name;
  double value = 0;
};
std::optional<double> automatic_points(const std::vector<NamedValue>& values, const ScoreSettings& settings);
/// 1 → 0 points, 5 → 100.
double human_points(double mean_rating);

struct OneScore {
  struct Part {
    std::string name;
    double value = 0, points = 0;
    double share = 0;  // of the whole, from 0 to 1
  };
  double points = 0;  // 0 to 100
  std::optional<double> automatic, human;
  std::vector<Part> parts;
  std::string note;  // says so when only one of the two parts is there
};

/// `human`: mean rating from 1 to 5. A part that is missing leaves the whole weight to the other; nothing when both are.
std::optional<OneScore> one_score(const std::vector<NamedValue>& values, std::optional<double> human, const ScoreSettings& settings);

}  // namespace hone::eval
