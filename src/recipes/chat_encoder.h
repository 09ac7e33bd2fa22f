// The data layer's Encoder over a model's own tokenizer and chat template.
#pragma once

#include "data/encoder.h"
#include "recipes/model_files.h"

namespace hone::recipes {

class ChatEncoder : public data::Encoder {
 public:
  explicit ChatEncoder(const ModelFiles& files) : files_(files) {}

  std::vector<int32_t> encode(std::string_view text) const override;
  std::vector<data::EncodedChat> encode_chat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools) const override;
  data::EncodedChat encode_whole_chat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools) const override;
  bool has_chat_template() const override { return files_.chat.has_value(); }
  std::optional<int32_t> bos() const override;
  std::optional<int32_t> eos() const override;
  bool ends_answer(std::span<const int32_t> ids) const override;
  std::string describe(int32_t id) const override { return files_.tokenizer.token_bytes(id); }

 private:
  text::RenderOptions options_of(const nlohmann::ordered_json& tools) const;

  ModelFiles files_;
};

}  // namespace hone::recipes
