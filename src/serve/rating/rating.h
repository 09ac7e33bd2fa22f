// The rating of answers by people: blind, in an order of each rater's own, kept as `hone eval --ratings` reads it.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <unordered_map>

#include "eval/ratings.h"
#include "runs/database.h"
#include "serve/http/router.h"
#include "serve/pages/page_server.h"
#include "serve/rating/rating_task.h"

namespace hone::serve {

/// Functions may be called from any thread.
class RatingDesk {
 public:
  /// `state` is an SQLite file in which every rating is one committed transaction; `output` (.json) is written anew, whole or not at
  /// all, after each. Ratings of texts that have changed since stay in the state and do not count. Throws Error{kIo}.
  RatingDesk(const RatingTask& task, const std::filesystem::path& state, std::filesystem::path output, uint64_t seed, bool show_expected);

  /// {"position", "of", "rated"}: the first place without a rating from `from` on, then from the start; position = of: none is left.
  Json next(const std::string& rater, bool pairwise, uint64_t from) const;
  /// {"position", "of", "prompt", "expected", "answers": one or two texts, "content", "own"}. No model is named.
  Json unit(const std::string& rater, bool pairwise, uint64_t position) const;
  /// 1 to 5 for each of eval::kDimensions. `content` is that of unit().
  void rate(const std::string& rater, uint64_t position, const std::string& content, const std::array<int, 3>& values);
  /// `winner`: 0 the first answer shown, 1 the second, -1 neither.
  void prefer(const std::string& rater, uint64_t position, const std::string& content, int winner);
  /// Counts by rater and how far they agree; nothing about models.
  Json summary() const;
  /// The ratings that count.
  eval::RatingSet ratings() const;

 private:
  struct Place {
    const RatingUnit* unit;
    bool swapped;
  };
  Place place(const std::string& rater, bool pairwise, uint64_t position) const;
  Place checked_place(const std::string& rater, bool pairwise, uint64_t position, const std::string& content) const;
  const std::string& model(const RatingUnit& unit, int answer) const;
  eval::RatingSet read() const;
  void write() const;

  const RatingTask& task_;
  std::filesystem::path output_;
  uint64_t seed_;
  bool show_expected_;
  std::unordered_map<std::string, std::string> contents_;  // of every unit, by item and models
  mutable std::mutex mutex_;
  mutable runs::Database database_;
};

/// Adds /api/summary, /api/next, /api/unit and /api/rate.
void add_rating_routes(http::Router& router, RatingDesk& desk, const RatingTask& task);

}  // namespace hone::serve
