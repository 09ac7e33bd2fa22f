// Answers of a model to held-out questions, kept in a file so that an interrupted evaluation goes on where it stopped.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "infer/generate.h"
#include "recipes/config.h"
#include "recipes/model_files.h"

namespace hone::recipes {

/// What the model is asked and what it should say: the last answer of a chat, or a completion.
struct Question {
  std::string where, prompt_text, expected;
  std::vector<int32_t> prompt;
};

/// The questions of a held-out file; `limit` 0: of all rows. Rows of plain text ask nothing.
std::vector<Question> questions_of(const data::DatasetConfig& file, const Config& config, const ModelFiles& files, int64_t limit);

/// One JSON line per answer, in the file as soon as it is known. Answers count again only for the same prompt, model and options.
class AnswerFile {
 public:
  /// `key` names model and options: answers under other keys are kept in the file but not used. Throws Error{kIo}.
  AnswerFile(std::filesystem::path path, std::string key);
  ~AnswerFile();
  AnswerFile(const AnswerFile&) = delete;
  AnswerFile& operator=(const AnswerFile&) = delete;

  /// nullptr when the question has no answer yet.
  const std::string* find(const Question& question) const;
  void add(const Question& question, const std::string& answer);

 private:
  std::filesystem::path path_;
  std::string key_;
  int file_ = -1;
  std::map<std::string, std::string> known_;
};

/// Something that changes when the model's files, the trained files or an option that matters to answers change.
std::string answer_key(const Config& config, const std::filesystem::path& tuned, const infer::GenerateOptions& options);

/// Answers every question, in order; the one place that generates for evaluation. Throws Error{kInterrupted} when asked to stop.
void answer_all(const models::CausalLm& model, const ModelFiles& files, std::span<const Question> questions, const infer::GenerateOptions& options, const std::function<bool()>& interrupted,
                const std::function<void(size_t question, const std::string& answer)>& on_answer);

}  // namespace hone::recipes
