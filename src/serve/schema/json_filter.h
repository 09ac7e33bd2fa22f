// Holds an answer to JSON: of all tokens, those may come next that go on with a document of the wanted form.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "infer/engine.h"
#include "serve/schema/json_reader.h"

namespace hone::serve {

/// The bytes of a vocabulary's tokens, ordered for a filter. Immutable; made once per model.
class TokenTable {
 public:
  explicit TokenTable(const text::Tokenizer& tokenizer);
  std::vector<std::string> bytes;                       // by id; empty for special tokens
  std::vector<uint32_t> characters;                     // by id, of tokens of whole characters that may stand inside any JSON string; 0: of no such token
  struct Entry {
    int32_t id;
    uint32_t shared;  // bytes at its beginning that the entry before it has too
  };
  std::array<std::vector<Entry>, 256> by_first_byte;    // sorted by bytes; without special tokens
};

class JsonFilter : public infer::TokenFilter {
 public:
  /// Tokens of the vocabulary that stand for texts within the document: the marks of tool calls.
  using Marks = std::vector<std::pair<int32_t, std::string>>;

  /// `stop_ids` may come as soon as the document is complete. Where a mark may come, no other token spells it.
  JsonFilter(std::shared_ptr<const TokenTable> table, std::shared_ptr<const Schema> schema, std::vector<int32_t> stop_ids, Marks marks = {});
  void apply(std::span<float> logits) override;
  void accept(int32_t id) override;

 private:
  void allow_text(const JsonReader::Text& text, size_t first, size_t vocabulary);
  void allow(size_t first, size_t vocabulary, const JsonReader::Text& text);
  std::shared_ptr<const TokenTable> table_;
  std::shared_ptr<const Schema> schema_;
  std::vector<int32_t> stop_ids_;
  Marks marks_;
  JsonReader reader_;
  std::vector<uint8_t> allowed_;
};

}  // namespace hone::serve
