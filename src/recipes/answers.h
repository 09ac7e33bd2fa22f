// Answers of a model to held-out questions, kept in a file so that an interrupted evaluation goes on where it stopped.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/cpu_features.h"
#include "infer/generate.h"
#include "recipes/config.h"
#include "recipes/model_files.h"

namespace hone::recipes {

/// SHA-256 of the running program.
const std::string& program_digest();

/// What the model is asked and what it should say: the last answer of a chat, or a completion.
struct Question {
  std::string where, prompt_text, expected;
  std::vector<int32_t> prompt;
  text::SplitOptions split = {};  // how the answer is taken apart, as for a client
  bool reasoning = false;    // it is compared too, as <think> … </think> in front of the answer
  int64_t tokens = 0;        // that the expected answer has, its reasoning included
};

/// What of an answer is compared with the question's `expected`: what a client gets as content, tool calls as lines of JSON behind it.
std::string compared_text(const Question& question, std::string_view answer);

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

/// Everything besides its prompt that an answer comes from.
struct AnswerOrigin {
  std::filesystem::path base;                   // the model's file or folder
  std::vector<std::filesystem::path> adapters;  // that a named model has
  std::filesystem::path tuned;                  // what was trained; empty: nothing
  models::LoadOptions load;
  infer::GenerateOptions generate;
  bool reasoning = false;  // is part of what is compared
  std::string program = program_digest(), isa = std::string(name(selected_isa()));
};

/// Something that changes when any of it changes: the base by names, sizes and times of its files, adapters and what was trained by their bytes.
std::string answer_key(const AnswerOrigin& origin);

/// Answers every question, in order; the one place that generates for evaluation. Throws Error{kInterrupted} when asked to stop.
void answer_all(const std::shared_ptr<const models::CausalLm>& model, const ModelFiles& files, std::span<const Question> questions, const infer::GenerateOptions& options, const std::function<bool()>& interrupted,
                const std::function<void(size_t question, const std::string& answer)>& on_answer);

}  // namespace hone::recipes
