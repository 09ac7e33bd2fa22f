// What raters are asked: answers of one model or several, alone or in pairs, without the models' names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace hone::serve {

struct RatedAnswer {
  int model = 0;  // index into RatingTask::models
  std::string text;
};

struct RatedItem {
  std::string where, prompt, expected;
  std::vector<RatedAnswer> answers;  // in order of model
};

/// One answer (second is -1), or two answers to the same item.
struct RatingUnit {
  size_t item = 0;
  int first = 0, second = -1;  // indices into RatedItem::answers
};

struct RatingTask {
  std::vector<std::string> models;
  std::vector<RatedItem> items;  // item i is called i + 1, as `hone eval` numbers its rows
  std::vector<RatingUnit> single, pairs;
  int64_t older = 0;             // answers of the same files under other options, or given anew since

  const std::vector<RatingUnit>& units(bool pairwise) const { return pairwise ? pairs : single; }
  /// Hash of what the unit shows: changes with any of its texts.
  std::string content(const RatingUnit& unit) const;
};

/// Reads answers-NAME.jsonl files of `hone eval`, or all of a folder; NAME is the model. Of several evaluations in one file the last
/// counts. A torn last line is left out. Throws Error{kInvalidInput} naming file and line, for a model named twice, and when there is no answer.
RatingTask read_rating_task(const std::vector<std::filesystem::path>& paths);

struct Presentation {
  uint64_t unit = 0;
  bool swapped = false;  // the second answer of a pair comes first
};
/// The unit at a place of this rater's order: a permutation that follows from seed and rater alone. `position` is below `units`.
Presentation present(uint64_t seed, const std::string& rater, bool pairwise, uint64_t units, uint64_t position);

}  // namespace hone::serve
