#include "recipes/samples.h"

#include <malloc.h>

#include "base/error.h"

namespace hone::recipes {
namespace {

constexpr size_t kShownPrompt = 160, kShownAnswer = 1000;  // bytes

std::string shortened(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;  // not inside a character
  return text.substr(0, bytes) + "…";
}

}  // namespace

Samples::Samples(const Config& config, const ModelFiles& files, const std::optional<std::string>& system) : files_(files) {
  options_.sampler.temperature = 0;
  options_.stop_ids = files.stop_ids;
  options_.max_tokens = config.training.sample_tokens;
  const auto fits = [&](const Question& q) { return static_cast<int64_t>(q.prompt.size()) < config.data.cutoff_length; };
  for (size_t i = 0; i < config.training.sample_prompts.size(); ++i) {
    Question q;
    q.where = fmt::format("training.sample_prompts[{}]", i);
    q.prompt_text = config.training.sample_prompts[i];
    text::Json messages = text::Json::array();
    if (system) messages.push_back({{"role", "system"}, {"content", *system}});
    messages.push_back({{"role", "user"}, {"content", q.prompt_text}});
    auto prompt = files.turn_prompt(messages);
    q.prompt = std::move(prompt.ids);
    q.split = files.split_options(prompt.inside);
    if (!fits(q))
      throw Error(ErrorCode::kInvalidInput, q.where, fmt::format("{} tokens leave no room for an answer in data.cutoff_length {}", q.prompt.size(), config.data.cutoff_length), "shorten it");
    questions_.push_back(std::move(q));
  }
  if (config.training.sample_rows == 0) return;
  for (const data::DatasetConfig& file : config.data.validation)
    for (Question& q : questions_of(file, config, files, config.training.sample_rows))
      if (fits(q)) questions_.push_back(std::move(q));
}

std::vector<std::string> Samples::answers(const models::CausalLm& model, const std::function<bool()>& interrupted) const {
  std::vector<std::string> found(questions_.size());
  const std::shared_ptr<const models::CausalLm> live(std::shared_ptr<void>(), &model);  // owned by the training loop, which waits
  release_cached_memory();  // a step's activations make room for keys and values
  answer_all(live, files_, questions_, options_, interrupted, [&](size_t i, const std::string& answer) { found[i] = answer; });
  release_cached_memory();
  ::malloc_trim(0);
  return found;
}

std::string sample_text(const Question& question, const std::string& answer) {
  return shortened(question.prompt_text, kShownPrompt) + " → " + shortened(answer, kShownAnswer);
}

}  // namespace hone::recipes
