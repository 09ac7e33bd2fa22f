// `hone eval FILE.yaml`: the loss and the answers of a model, or of two, on rows they have not seen.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/answers.h"
#include "eval/report.h"
#include "recipes/config.h"

namespace hone::recipes {

struct EvaluateOptions {
  std::filesystem::path tuned;     // a run's folder or an adapter; empty: the base model
  bool compare = false;            // with another model: `against`, empty meaning the base
  std::filesystem::path against;
  std::string name, against_name;  // of the models in the report; empty: base and tuned, or the folders' names
  std::string data;                // rows to evaluate on; empty: the configuration's validation files
  std::filesystem::path text;      // a text whose perplexity is measured as well; empty: none
  std::filesystem::path ratings;   // people's ratings of the answers; empty: none
  std::filesystem::path folder;    // of report and answers; empty: beside the run's, with -eval after its name
  std::vector<std::filesystem::path> harness;
  int64_t limit = 0;               // answers to generate at most; 0: all rows
  int64_t max_tokens = 0;          // per answer; 0: half again as many as the longest expected answer has
  bool answers = true;             // generate and compare answers, besides the loss
  bool fresh = false;              // forget answers of an earlier, interrupted evaluation
  std::function<bool()> interrupted;
};

struct Answer {
  std::string where, prompt, expected, found;
};

struct Evaluation {
  int64_t rows = 0, tokens = 0;  // tokens that carry a label
  double loss = 0, perplexity = 0, token_accuracy = 0;
  std::optional<double> text_perplexity;
  std::optional<eval::AnswerScores> scores;
  std::vector<Answer> answers;
  int64_t remembered = 0;        // answers that an earlier evaluation had generated, of both models
  eval::Report report;
  std::filesystem::path folder;
  std::vector<std::string> notes;  // on the rows: what was left out and why
  double seconds = 0;
};

/// Evaluates `tuned` (after `against` when two are compared) and writes the report; the figures are tuned's. `on_answer` is called
/// after each of a model's answers with how many there will be.
Evaluation evaluate_model(const Config& config, const EvaluateOptions& options,
                          const std::function<void(const std::string& model, int64_t done, int64_t of, const Answer&)>& on_answer);

}  // namespace hone::recipes
