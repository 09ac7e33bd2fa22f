#include "recipes/chat_encoder.h"

namespace hone::recipes {

std::vector<int32_t> ChatEncoder::encode(std::string_view text) const {
  return files_.tokenizer.encode(text, {.add_special = false, .parse_special = false});
}

data::EncodedChat ChatEncoder::encode_chat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools) const {
  text::RenderOptions options = files_.render_options();
  options.tools = tools;
  const text::Rendered rendered = files_.chat->render_for_training(messages, options);
  const auto spans = files_.tokenizer.encode_spans(rendered.text, {.add_special = false});
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
