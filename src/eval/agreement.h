// Whether raters agree: Krippendorff's alpha, Cohen's and Fleiss' kappa.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace hone::eval {

/// Ratings of one unit by each rater, missing ones left out by NaN: unit × rater, all rows equally long.
using RatingTable = std::vector<std::vector<double>>;

enum class Level { kNominal, kOrdinal, kInterval };

/// 1 − observed / expected disagreement, over units with at least two ratings (Krippendorff, 2011). Nothing when no unit has two, or
/// when all ratings are equal.
std::optional<double> krippendorff_alpha(const RatingTable& table, Level level);

enum class Weights { kNone, kLinear, kQuadratic };
/// Of two raters on the same units, values being whole numbers; nothing when there are no pairs or chance alone agrees fully.
std::optional<double> cohen_kappa(std::span<const double> a, std::span<const double> b, Weights weights);

/// Of several raters, over the units that everybody rated; at least two raters.
std::optional<double> fleiss_kappa(const RatingTable& table);

}  // namespace hone::eval
