// What a GGUF file says about itself, in the words of `hone list` and `hone show`.
#pragma once

#include "io/gguf.h"
#include "store/manifest.h"

namespace hone::store {

struct GgufFacts {
  std::string architecture, quantization;       // "llama", "Q4_1"
  uint64_t parameters = 0;                      // elements of all tensors
  int64_t context_length = 0, embedding_length = 0;  // 0: not said
};
GgufFacts facts_of(const io::Gguf& gguf);
/// The same for a config blob.
ModelFacts model_facts(const io::Gguf& gguf);

}  // namespace hone::store
