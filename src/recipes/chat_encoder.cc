#include "recipes/chat_encoder.h"

#include <algorithm>

namespace hone::recipes {
namespace {

// The words of system, user and tools: a special token's text in them is text, as it is for the server. What the assistant says may
// hold such tokens (a model that reasons writes its own).
std::vector<std::pair<size_t, size_t>> plain_words(const text::ChatTemplate& chat, const text::Json& messages, const text::RenderOptions& options, const text::Rendered& rendered) {
  text::RenderedPrompt prompt = chat.render_prompt(messages, options);
  if (prompt.text != rendered.text) return {};
  std::erase_if(prompt.words, [&](const auto& word) {
    return std::any_of(rendered.assistant.begin(), rendered.assistant.end(), [&](const auto& own) { return word.first < own.second && own.first < word.second; });
  });
  return std::move(prompt.words);
}

}  // namespace

std::vector<int32_t> ChatEncoder::encode(std::string_view text) const {
  return files_.tokenizer.encode(text, {.add_special = false, .parse_special = false});
}

data::EncodedChat ChatEncoder::encode_chat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools) const {
  text::RenderOptions options = files_.render_options();
  options.tools = tools;
  const text::Rendered rendered = files_.chat->render_for_training(messages, options);
  const auto plain = plain_words(*files_.chat, messages, options, rendered);
  const auto spans = files_.tokenizer.encode_spans(rendered.text, {.add_special = false, .plain = plain});
  data::EncodedChat chat;
  for (const auto& span : spans) chat.ids.push_back(span.id);
  chat.assistant = text::role_mask(rendered, spans);
  return chat;
}

std::optional<int32_t> ChatEncoder::bos() const {
  return files_.tokenizer.adds_bos() && files_.tokenizer.bos() >= 0 ? std::optional(files_.tokenizer.bos()) : std::nullopt;
}

std::optional<int32_t> ChatEncoder::eos() const {
  return files_.tokenizer.eos() >= 0 ? std::optional(files_.tokenizer.eos()) : std::nullopt;
}

}  // namespace hone::recipes
