// An exchange that keeps what it is told, for tests of answers.
#pragma once

#include "io/gguf.h"
#include "serve/http/message.h"
#include "text/tokenizer.h"

namespace hone::serve {

struct FakeExchange : http::Exchange {
  http::Request asked;
  http::Response response;
  std::string stream;
  bool ended = false, lost = false;
  const http::Request& request() const override { return asked; }
  void send(http::Response r) override { response = std::move(r), ended = true; }
  void begin(http::Response r) override { stream = r.body, response = std::move(r); }
  bool write(std::string piece) override { return stream += piece, !lost; }
  void end() override { ended = true; }
  void drop() override { lost = true; }
  bool gone() const override { return lost; }
  void when_gone(std::function<void()>) override {}
};

/// a, b, c and an end token.
inline const text::Tokenizer& tiny_tokenizer() {
  static const text::Tokenizer made = [] {
    text::GgufVocab vocab;
    vocab.model = "gpt2";
    vocab.pre = "gpt-2";
    vocab.tokens = {"a", "b", "c", "<end>"};
    vocab.types = {1, 1, 1, 3};
    vocab.eos = 3;
    return text::Tokenizer::from_gguf(vocab, "test");
  }();
  return made;
}

}  // namespace hone::serve
