// Log probabilities in the form both APIs share.
#pragma once

#include "infer/engine.h"
#include "serve/api/fields.h"

namespace hone::serve {

/// {"token", "logprob", "bytes"}, with "top_logprobs" of the likeliest.
Json token_logprob(const text::Tokenizer& tokenizer, const infer::TokenEvent& token);

/// The text of one token; bytes that are no UTF-8 by themselves become U+FFFD.
std::string token_text(const text::Tokenizer& tokenizer, int32_t id);

}  // namespace hone::serve
