// How well answers match what was expected of them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hone::eval {

/// Shares are in [0, 1] of all answers.
struct AnswerScores {
  int64_t answers = 0;
  double exact_match = 0;  // equal after trimming white space at both ends

  // When every expected answer is a JSON object; otherwise json is false and the rest is empty.
  bool json = false;
  double valid_json = 0;                        // answers that are a JSON object with exactly the expected keys
  std::map<std::string, double> field_accuracy;  // by key: share of answers with the expected value
  std::map<std::string, double> field_macro_f1;  // by key: mean over the expected values of F1 = 2PR / (P + R)
};

/// answers[i] against expected[i]; both lists have the same length, at least 1.
AnswerScores score_answers(const std::vector<std::string>& answers, const std::vector<std::string>& expected);

}  // namespace hone::eval
