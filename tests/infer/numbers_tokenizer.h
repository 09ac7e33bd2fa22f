// A tokenizer whose tokens are their own numbers.
#pragma once

#include <string>

#include "text/tokenizer.h"

namespace hone::infer {

// Ids stand for themselves: generation needs a tokenizer only for the text.
inline text::Tokenizer numbers(int64_t count) {
  text::GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  for (int64_t i = 0; i < count; ++i) vocab.tokens.push_back(" " + std::to_string(i));
  return text::Tokenizer::from_gguf(vocab, "numbers");
}

}  // namespace hone::infer
