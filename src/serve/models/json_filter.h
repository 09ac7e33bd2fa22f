// Holds an answer to JSON: of all tokens, those may come next that go on with a document of the wanted form.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "infer/engine.h"
#include "serve/models/json_schema.h"

namespace hone::serve {

/// The bytes of a vocabulary's tokens, ordered for a filter. Immutable; made once per model.
class TokenTable {
 public:
  explicit TokenTable(const text::Tokenizer& tokenizer);
  std::vector<std::string> bytes;                       // by id; empty for special tokens
  std::vector<bool> plain;                              // by id: may stand inside any JSON string
  struct Entry {
    int32_t id;
    uint32_t shared;  // bytes at its beginning that the entry before it has too
  };
  std::array<std::vector<Entry>, 256> by_first_byte;    // sorted by bytes; without special tokens
};

class JsonFilter : public infer::TokenFilter {
 public:
  /// `stop_ids` may come as soon as the document is complete, and nothing else may then.
  JsonFilter(std::shared_ptr<const TokenTable> table, std::shared_ptr<const Schema> schema, std::vector<int32_t> stop_ids);
  void apply(std::span<float> logits) override;
  void accept(int32_t id) override;

 private:
  std::shared_ptr<const TokenTable> table_;
  std::shared_ptr<const Schema> schema_;
  std::vector<int32_t> stop_ids_;
  JsonReader reader_;
  std::vector<uint8_t> allowed_;
};

}  // namespace hone::serve
