// What the model that is being trained answers to a few fixed questions, at every checkpoint.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "recipes/answers.h"

namespace hone::recipes {

class Samples {
 public:
  /// The questions of training.sample_prompts and training.sample_rows. Throws Error{kInvalidInput} for a prompt that leaves no room for
  /// an answer in data.cutoff_length tokens; rows like that are passed over.
  Samples(const Config& config, const ModelFiles& files, const std::optional<std::string>& system);

  bool empty() const { return questions_.empty(); }
  const std::vector<Question>& questions() const { return questions_; }

  /// Answers all of them greedily with the weights as they are, without dropout; the memory it took is given back to the system. Throws
  /// Error{kInterrupted} when asked to stop.
  std::vector<std::string> answers(const models::CausalLm& model, const std::function<bool()>& interrupted) const;

 private:
  const ModelFiles& files_;
  infer::GenerateOptions options_;
  std::vector<Question> questions_;
};

/// "question → answer", each shortened to what a list can show.
std::string sample_text(const Question& question, const std::string& answer);

}  // namespace hone::recipes
