// What people think of answers: three dimensions from 1 to 5, or which of two answers is better; and whether the raters agree.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "eval/agreement.h"

namespace hone::eval {

inline constexpr std::array<const char*, 3> kDimensions = {"relevance", "fluency", "professionalism"};

/// One person's view of one answer.
struct Rating {
  std::string item, model, rater;  // model may be empty when there is only one
  std::array<int, 3> values{};     // 1 to 5 by dimension; 0: not given

  bool operator==(const Rating&) const = default;
};

/// One person's choice between the answers of two models.
struct Preference {
  std::string item, rater, model_a, model_b;
  std::string winner;  // model_a's name, model_b's, or "tie"

  bool operator==(const Preference&) const = default;
};

struct RatingSet {
  std::vector<Rating> ratings;
  std::vector<Preference> preferences;
};

/// Reads CSV (a header with item, rater, and relevance, fluency, professionalism and perhaps model; or model_a, model_b, winner), a
/// JSON array of objects with these keys, {"ratings": […], "preferences": […]}, or JSON lines. Throws Error{kInvalidInput} naming
/// the line (or the entry of an array) of what is malformed, and of a second rating of the same answer by the same person.
RatingSet read_ratings(const std::filesystem::path& path);
/// {"ratings": […], "preferences": […]}, which read_ratings reads back.
std::string ratings_json(const RatingSet& set);
/// CSV of the ratings, or of the preferences; with header.
std::string ratings_csv(const std::vector<Rating>& ratings);
std::string preferences_csv(const std::vector<Preference>& preferences);

struct DimensionSummary {
  int64_t ratings = 0;
  double mean = 0;                    // 1 to 5
  std::array<int64_t, 5> histogram{};  // how often 1, 2, … 5
  std::optional<double> alpha_ordinal, alpha_interval, alpha_nominal;
  std::optional<double> fleiss;
  std::optional<double> cohen, cohen_quadratic;  // mean over the pairs of raters, weighted by the answers both rated
};

/// Units for agreement are answers: (item, model).
struct RatingSummary {
  int64_t items = 0, raters = 0;
  std::array<DimensionSummary, 3> dimensions;
};
/// Of one model's ratings, or of all when `model` is not given.
RatingSummary summarize(const std::vector<Rating>& ratings, const std::optional<std::string>& model = std::nullopt);

/// Models in order of name.
std::vector<std::string> rated_models(const RatingSet& set);

/// The weighted mean over dimensions of the mean over raters, 1 to 5, by item; dimensions that nobody rated are left out of an
/// item's mean. `weights` are not negative and not all zero.
std::map<std::string, double> item_means(const std::vector<Rating>& ratings, const std::string& model, const std::array<double, 3>& weights);

/// Two models in pairwise comparison, in order of name.
struct PairwiseSummary {
  std::string first, second;
  int64_t first_wins = 0, second_wins = 0, ties = 0;
  double win_rate = 0;                // of the second; a tie counts half
  double p = 1;                       // two-sided sign test, without ties
  std::optional<double> fleiss;       // agreement of the raters about the winner
};
std::vector<PairwiseSummary> summarize(const std::vector<Preference>& preferences);

/// Two-sided probability of at most min(a, b) of a + b fair throws.
double sign_test(int64_t a, int64_t b);

}  // namespace hone::eval
