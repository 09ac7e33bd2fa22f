// From words to tokens, as the data layer sees it: a seam that a test can fill without a tokenizer file.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hone::data {

/// Token ids and, for each, how much it counts in the loss: 0 where it is not learned.
struct EncodedChat {
  std::vector<int32_t> ids;
  std::vector<float> weights;
  int32_t turns = 1, reasoned = 0;  // of the assistant that are learned; of them with reasoning
  std::vector<uint8_t> answers;     // of encode_whole_chat: 1 where the assistant speaks
};

/// Turns text and conversations into tokens. Const functions are called from several threads at once.
class Encoder {
 public:
  virtual ~Encoder() = default;

  /// Tokens of `text` alone: no begin or end token is added; special tokens that the author wrote are these tokens, as in raw prompts.
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  /// A conversation through the chat template, as samples that hold each of the assistant's turns once, behind the very prompt that inference
  /// would render for it. Turns share a sample where the prompt of the later one begins with the tokens of the earlier one. `messages`: an array
  /// of {"role", "content", …}, an assistant's "weight" counts in the loss. `tools` is an array, or null. Keys keep the order they have in the
  /// file, since templates print them. Throws Error when the template refuses.
  virtual std::vector<EncodedChat> encode_chat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools) const = 0;
  /// A conversation as one sample of which everything is learned but the assistant's turns of "weight" 0; others count as much as they say.
  virtual EncodedChat encode_whole_chat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools) const = 0;
  /// Whether encode_chat can be called.
  virtual bool has_chat_template() const = 0;
  /// The token put before raw text, where the tokenizer asks for one and the text does not begin with it.
  virtual std::optional<int32_t> bos() const = 0;
  /// The token put after raw text and completions, where they do not end with one that ends an answer.
  virtual std::optional<int32_t> eos() const = 0;
  /// Whether `ids` end with a token that ends an answer, white space behind it left out.
  virtual bool ends_answer(std::span<const int32_t> ids) const = 0;
  /// The text of one token, for people.
  virtual std::string describe(int32_t id) const = 0;
};

}  // namespace hone::data
