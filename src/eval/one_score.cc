#include "eval/one_score.h"

#include <algorithm>

namespace hone::eval {

double ScoreWeight::points(double value) const { return 100 * std::clamp((value - worst) / (best - worst), 0.0, 1.0); }

ScoreSettings ScoreSettings::standard() {
  ScoreSettings settings;
  for (const char* name : {"bleu", "chrf"}) settings.metrics[name] = {1, 0, 100};
  for (const char* name : {"rouge_l", "exact_match", "accuracy", "macro_f1", "entity_f1"}) settings.metrics[name] = {1, 0, 1};
  return settings;
}

std::optional<double> automatic_points(const std::vector<NamedValue>& values, const ScoreSettings& settings) {
  double sum = 0, weight = 0;
  for (const NamedValue& v : values) {
    const auto it = settings.metrics.find(v.name);
    if (it == settings.metrics.end() || it->second.weight <= 0) continue;
    sum += it->second.weight * it->second.points(v.value);
    weight += it->second.weight;
  }
  return weight > 0 ? std::optional(sum / weight) : std::nullopt;
}

double human_points(double mean_rating) { return 100 * (mean_rating - 1) / 4; }

std::optional<OneScore> one_score(const std::vector<NamedValue>& values, std::optional<double> human, const ScoreSettings& settings) {
  OneScore score;
  score.automatic = automatic_points(values, settings);
  if (human) score.human = human_points(*human);
  double automatic_share = score.automatic ? settings.automatic : 0, human_share = score.human ? settings.human : 0;
  if (!score.automatic && !score.human) return std::nullopt;
  if (automatic_share + human_share <= 0) (score.automatic ? automatic_share : human_share) = 1;  // the only part there is has weight 0
  const double all = automatic_share + human_share;
  automatic_share /= all;
  human_share /= all;
  score.points = automatic_share * score.automatic.value_or(0) + human_share * score.human.value_or(0);
  double weights = 0;
  for (const NamedValue& v : values)
    if (const auto it = settings.metrics.find(v.name); it != settings.metrics.end()) weights += it->second.weight;
  for (const NamedValue& v : values)
    if (const auto it = settings.metrics.find(v.name); it != settings.metrics.end() && it->second.weight > 0)
      score.parts.push_back({v.name, v.value, it->second.points(v.value), automatic_share * it->second.weight / weights});
  if (human) score.parts.push_back({"human ratings", *human, *score.human, human_share});
  if (!score.human) score.note = "no human ratings: the automatic part alone";
  if (!score.automatic) score.note = "no automatic metric: the human part alone";
  return score;
}

}  // namespace hone::eval
