#include "eval/answers.h"

#include <nlohmann/json.hpp>
#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "base/json_file.h"
#include "eval/characters.h"

namespace hone::eval {
namespace {

using nlohmann::json;

// Discarded unless `text` is one JSON object, and not nested deeper than is read anywhere.
json object_of(const std::string& text) {
  try {
    json value = parse_json(text, "answer");
    if (value.is_object()) return value;
  } catch (const Error&) {
    // What is no JSON has no fields.
  }
  return json(json::value_t::discarded);
}

std::set<std::string> keys_of(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

// Mean F1 over the values that were expected at least once; `pairs` are (found, expected), found empty when absent.
double macro_f1(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::map<std::string, std::array<double, 3>> counts;  // value → {true positives, found, expected}
  for (const auto& [found, expected] : pairs) {
    ++counts[expected][2];
    ++counts[found][1];
    if (found == expected) ++counts[expected][0];
  }
  double sum = 0;
  int classes = 0;
  for (const auto& [value, n] : counts) {
    if (n[2] == 0) continue;
    ++classes;
    sum += 2 * n[0] / (n[1] + n[2]);
  }
  return classes ? sum / classes : 0;
}

}  // namespace

AnswerScores score_answers(const std::vector<std::string>& answers, const std::vector<std::string>& expected) {
  HONE_CHECK(!answers.empty() && answers.size() == expected.size(), "{} answers, {} expected", answers.size(), expected.size());
  AnswerScores scores;
  scores.answers = static_cast<int64_t>(answers.size());
  const auto count = static_cast<double>(answers.size());
  std::vector<json> found, wanted;
  for (size_t i = 0; i < answers.size(); ++i) {
    scores.exact_match += (trimmed_text(answers[i]) == trimmed_text(expected[i])) / count;
    found.push_back(object_of(answers[i]));
    wanted.push_back(object_of(expected[i]));
  }
  scores.json = std::none_of(wanted.begin(), wanted.end(), [](const json& value) { return value.is_discarded(); });
  if (!scores.json) return scores;
  std::set<std::string> keys;
  for (const json& object : wanted) keys.merge(keys_of(object));
  for (size_t i = 0; i < found.size(); ++i)
    scores.valid_json += (!found[i].is_discarded() && keys_of(found[i]) == keys_of(wanted[i])) / count;
  for (const std::string& key : keys) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (size_t i = 0; i < found.size(); ++i) {
      if (!wanted[i].contains(key)) continue;
      const bool present = !found[i].is_discarded() && found[i].contains(key);
      pairs.emplace_back(present ? found[i][key].dump() : std::string(), wanted[i][key].dump());
    }
    double right = 0;
    for (const auto& [answer, truth] : pairs) right += answer == truth;
    scores.field_accuracy[key] = right / static_cast<double>(pairs.size());
    scores.field_macro_f1[key] = macro_f1(pairs);
  }
  return scores;
}

}  // namespace hone::eval
