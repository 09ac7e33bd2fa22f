// The tokenizer that a GGUF file holds.
#pragma once

#include "io/gguf.h"
#include "text/tokenizer.h"

namespace hone::recipes {

/// The tokenizer.ggml.* keys, as the text layer reads them.
text::GgufVocab gguf_vocab(const io::Gguf& gguf);

}  // namespace hone::recipes
