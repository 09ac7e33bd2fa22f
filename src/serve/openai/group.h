// The choices of one request to /v1/chat/completions or /v1/completions: several answers, one response.
#pragma once

#include <mutex>

#include "serve/api/stream.h"

namespace hone::serve::openai {

struct GroupShape {
  std::string id, model;
  bool chat = true, stream = false, include_usage = false;
  bool logprobs = false;
  bool echo = false;               // of completions: the prompt in front of the answer
  bool predicted = false;          // of chat: the request came with a prediction
  bool hide_thinking = false;
  int64_t created = 0;             // seconds since 1970
  std::vector<std::string> echoed;  // by choice: the prompt's text, with echo
};

/// Thread-safe: choices may be answered by several threads.
class Group : public std::enable_shared_from_this<Group> {
 public:
  Group(Exchange exchange, GroupShape shape, const text::Tokenizer& tokenizer, size_t choices)
      : stream_(std::move(exchange), Stream::Kind::kEvents), shape_(std::move(shape)), tokenizer_(tokenizer), choices_(choices), open_(choices) {}

  /// The sink of one choice. `first_of_prompt`: its prompt counts in the usage (once per prompt, whatever n).
  std::shared_ptr<AnswerSink> sink(size_t index, bool first_of_prompt);
  /// Ends all with an error, unless all is over.
  void fail(const Error& error);

 private:
  class ChoiceSink;
  struct Choice {
    Part part;                        // since the last chunk
    Json logprobs;                    // the same
    bool begun = false, scored = false;
    size_t calls = 0, characters = 0;  // characters: code points that the tokens so far begin
    std::string finish;
  };
  bool on_token(size_t index, const infer::TokenEvent& token, const Part& part);
  void on_end(size_t index, bool first_of_prompt, const Part& rest, const infer::Outcome& outcome);
  void take(Choice& choice, const Part& part);
  void add_logprob(Choice& choice, const infer::TokenEvent& token);
  Json chunk() const;
  Json whole(size_t index);
  Json tool_calls(Choice& choice, bool streamed);
  bool send_pending(size_t index, bool last);
  Json usage() const;
  void fail_locked(const Error& error);

  std::mutex mutex_;
  Stream stream_;
  const GroupShape shape_;
  const text::Tokenizer& tokenizer_;
  std::vector<Choice> choices_;
  size_t open_;
  bool over_ = false;
  int64_t prompt_tokens_ = 0, reused_tokens_ = 0, answer_tokens_ = 0, guessed_tokens_ = 0, taken_tokens_ = 0;
};

}  // namespace hone::serve::openai
