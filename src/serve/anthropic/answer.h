// Answers of /v1/messages: one message of blocks, whole or as named events.
#pragma once

#include "serve/api/stream.h"

namespace hone::serve::anthropic {

struct AnswerShape {
  std::string id, model;
  bool stream = false;
  bool hide_thinking = false;
  int64_t prompt_tokens = 0;
  std::vector<std::string> stops;  // stop_sequences, to say which one ended the answer
};

/// Sends one answer over an exchange.
class Sink : public AnswerSink {
 public:
  Sink(Exchange exchange, AnswerShape shape, const text::Tokenizer& tokenizer) : stream_(std::move(exchange), Stream::Kind::kEvents), shape_(std::move(shape)), tokenizer_(tokenizer) {}
  bool on_token(const infer::TokenEvent& token, const Part& part) override;
  void on_end(const Part& rest, const infer::Outcome& outcome) override;

 private:
  enum class Block { kNone, kThinking, kText };
  void take(const Part& part);
  void add(Block kind, const std::string& text);
  void add(const ToolCall& call);
  void close();
  void event(const char* type, Json json);
  Json message() const;
  /// {"stop_reason", "stop_sequence"}
  Json ending(const infer::Outcome& outcome) const;

  Stream stream_;
  const AnswerShape shape_;
  const text::Tokenizer& tokenizer_;
  Json content_ = Json::array();  // the blocks; of a streamed answer without what they hold
  Block open_ = Block::kNone;     // the kind of the last block, while more may follow
  std::string bytes_;             // of the answer's tokens, to find the stop sequence in
  bool called_ = false;
};

}  // namespace hone::serve::anthropic
