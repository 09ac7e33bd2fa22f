// `hone eval`: the loss and the answers of a model on rows it has not seen.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/answers.h"
#include "recipes/config.h"

namespace hone::recipes {

struct EvaluateOptions {
  std::filesystem::path tuned;   // a run's folder or an adapter; empty: the base model
  std::string data;              // rows to evaluate on; empty: the configuration's validation files
  int64_t limit = 0;             // answers to generate at most; 0: all rows
  int64_t max_tokens = 0;        // per answer; 0: half again as many as the longest expected answer has
  bool answers = true;           // generate and compare answers, besides the loss
  std::function<bool()> interrupted;
};

struct Answer {
  std::string where, prompt, expected, found;
};

struct Evaluation {
  int64_t rows = 0, tokens = 0;  // tokens that carry a label
  double loss = 0, perplexity = 0, token_accuracy = 0;
  std::optional<eval::AnswerScores> scores;
  std::vector<Answer> answers;
  double seconds = 0;
};

/// `on_answer` is called after each generated answer with how many there will be.
Evaluation evaluate_model(const Config& config, const EvaluateOptions& options,
                          const std::function<void(int64_t done, int64_t of, const Answer&)>& on_answer);

}  // namespace hone::recipes
