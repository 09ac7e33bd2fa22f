#include "recipes/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "data/dataset.h"
#include "infer/generate.h"
#include "recipes/chat_encoder.h"
#include "recipes/tuned_model.h"
#include "train/step.h"

namespace hone::recipes {
namespace {

// What the model is asked and what it should say: the last answer of a chat, or a completion.
struct Question {
  std::string where, prompt_text, expected;
  std::vector<int32_t> prompt;
};

std::vector<Question> questions_of(const data::DatasetConfig& file, const Config& config, const ModelFiles& files, int64_t limit) {
  std::vector<Question> questions;
  const data::Dataset dataset(file, config.data, 0, /*validation_only=*/true);
  for (uint64_t row = 0; row < dataset.rows() && (limit <= 0 || static_cast<int64_t>(questions.size()) < limit); ++row) {
    data::Example example;
    if (dataset.read(row, example)) continue;  // malformed rows were counted when the file was opened
    Question q;
    q.where = dataset.where(row);
    if (example.kind == data::Example::Kind::kChat && files.chat) {
      q.expected = example.messages.back().value("content", "");
      text::Json before = example.messages;
      before.erase(before.size() - 1);
      q.prompt_text = before.back().value("content", "");
      q.prompt = files.encode_prompt(before);
    } else if (example.kind == data::Example::Kind::kCompletion) {
      q.expected = example.completion;
      q.prompt_text = example.prompt;
      q.prompt = files.tokenizer.encode(example.prompt);
    } else {
      continue;
    }
    questions.push_back(std::move(q));
  }
  return questions;
}

}  // namespace

Evaluation evaluate_model(const Config& config, const EvaluateOptions& options,
                          const std::function<void(int64_t, int64_t, const Answer&)>& on_answer) {
  const auto start = std::chrono::steady_clock::now();
  const ModelFiles files = open_model(config.model.base, config.model.chat_template);
  Config held_out = config;
  if (!options.data.empty()) {
    held_out.data.validation.assign(1, {});
    held_out.data.validation[0].path = options.data;
  }
  if (held_out.data.validation.empty())
    throw Error(ErrorCode::kInvalidInput, "data.validation", "no rows to evaluate on are named", "name a file with --data, or data.validation in the YAML file");
  // The loader wants something to train on; what counts here is its validation pass.
  held_out.data.datasets = held_out.data.validation;
  held_out.data.validation_share = 0;
  data::Loader loader(held_out.data, std::make_shared<ChatEncoder>(files));
  models::LoadOptions load = load_options(config);
  const std::filesystem::path tuned = options.tuned.empty() ? options.tuned : tuned_folder(options.tuned);
  models::CausalLm model = load_tuned(files, load, tuned);

  Evaluation result;
  const auto rows = loader.validation();
  const train::LossSum sum = train::evaluate(model, *rows, options.interrupted);
  result.rows = loader.report().validation_rows();
  result.tokens = sum.tokens;
  result.loss = sum.mean();
  result.perplexity = std::exp(sum.mean());
  result.token_accuracy = sum.accuracy();

  if (options.answers) {
    std::vector<Question> questions;
    for (const data::DatasetConfig& file : held_out.data.validation)
      for (Question& q : questions_of(file, held_out, files, options.limit)) questions.push_back(std::move(q));
    infer::GenerateOptions generate;
    generate.sampler.temperature = 0;
    generate.max_tokens = options.max_tokens;
    if (options.max_tokens == 0) {
      int64_t longest = 0;
      for (const Question& q : questions) longest = std::max<int64_t>(longest, static_cast<int64_t>(files.tokenizer.encode(q.expected).size()));
      generate.max_tokens = longest + longest / 2 + 4;
    }
    generate.stop_ids = files.stop_ids;
    std::vector<std::string> found, expected;
    for (const Question& q : questions) {
      if (options.interrupted && options.interrupted()) throw Error(ErrorCode::kInterrupted, "eval", "interrupted", "");
      infer::SequenceCache cache(model.config().layers);
      const infer::Generation answer = infer::generate(model, files.tokenizer, q.prompt, generate, cache, {});
      found.push_back(answer.text);
      expected.push_back(q.expected);
      result.answers.push_back({q.where, q.prompt_text, q.expected, answer.text});
      if (on_answer) on_answer(static_cast<int64_t>(found.size()), static_cast<int64_t>(questions.size()), result.answers.back());
    }
    if (!found.empty()) result.scores = eval::score_answers(found, expected);
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace hone::recipes
