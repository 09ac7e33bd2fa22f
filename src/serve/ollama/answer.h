// Answers of /api/generate and /api/chat, streamed line by line or whole.
#pragma once

#include "serve/api/stream.h"

namespace hone::serve::ollama {

struct AnswerShape {
  std::string model;        // as the request named it
  bool chat = false;        // "message" instead of "response" and "context"
  bool stream = true;
  bool logprobs = false;
  bool hide_thinking = false;
  std::vector<int32_t> prompt;  // what "context" begins with
  Clock::time_point started;
  double load_seconds = 0;
};

/// What both kinds of answer have in common: {"model", "created_at", "done"} and an empty message or response.
Json frame(const AnswerShape& shape, bool done);

/// One answer as a JSON object: the outcome of a batch's request, or one whole answer.
class Collected {
 public:
  Collected(AnswerShape shape, const text::Tokenizer& tokenizer) : shape_(std::move(shape)), tokenizer_(tokenizer) {}
  void take(const infer::TokenEvent& token, const Part& part);
  /// A line that holds what came since the last one; null when nothing did.
  Json line();
  /// The last line, or all of it when line() was never called.
  Json last(const infer::Outcome& outcome);
  const AnswerShape& shape() const { return shape_; }

 private:
  void fill(Json& json);
  AnswerShape shape_;
  const text::Tokenizer& tokenizer_;
  Part since_;
  Json logprobs_ = Json::array();
  std::vector<int32_t> ids_;
};

/// Sends one answer over an exchange.
class Sink : public AnswerSink {
 public:
  Sink(Exchange exchange, AnswerShape shape, const text::Tokenizer& tokenizer) : stream_(std::move(exchange), Stream::Kind::kLines), collected_(std::move(shape), tokenizer) {}
  bool on_token(const infer::TokenEvent& token, const Part& part) override;
  void on_end(const Part& rest, const infer::Outcome& outcome) override;

 private:
  Stream stream_;
  Collected collected_;
};

}  // namespace hone::serve::ollama
