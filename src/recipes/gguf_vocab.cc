#include "recipes/gguf_vocab.h"

#include "base/error.h"

namespace hone::recipes {

text::GgufVocab gguf_vocab(const io::Gguf& gguf) {
  text::GgufVocab vocab;
  vocab.model = gguf.string("tokenizer.ggml.model");
  vocab.pre = gguf.find_string("tokenizer.ggml.pre").value_or("");
  if (const auto* tokens = gguf.find_strings("tokenizer.ggml.tokens")) vocab.tokens = *tokens;
  if (const auto* scores = gguf.find_floats("tokenizer.ggml.scores")) vocab.scores = *scores;
  if (const auto* types = gguf.find_ints("tokenizer.ggml.token_type")) vocab.types = *types;
  if (const auto* merges = gguf.find_strings("tokenizer.ggml.merges")) vocab.merges = *merges;
  const auto is_long = [&](size_t i) { return vocab.tokens[i].size() > 4 && (i >= vocab.types.size() || vocab.types[i] == 1); };
  bool long_tokens = false;
  for (size_t i = 0; i < vocab.tokens.size() && !long_tokens; ++i) long_tokens = is_long(i);
  if (vocab.model == "gpt2" && vocab.merges.empty() && long_tokens)
    throw Error(ErrorCode::kInvalidInput, gguf.path().string(), "holds no merges (tokenizer.ggml.merges): every text would fall into single bytes",
                "convert the model again, with a tokenizer that has them");
  const auto id = [&](const char* key) { return gguf.find_int(key).value_or(-1); };
  vocab.bos = id("tokenizer.ggml.bos_token_id");
  vocab.eos = id("tokenizer.ggml.eos_token_id");
  vocab.unk = id("tokenizer.ggml.unknown_token_id");
  vocab.pad = id("tokenizer.ggml.padding_token_id");
  vocab.add_bos = gguf.find_bool("tokenizer.ggml.add_bos_token");
  vocab.add_eos = gguf.find_bool("tokenizer.ggml.add_eos_token");
  vocab.add_space_prefix = gguf.find_bool("tokenizer.ggml.add_space_prefix");
  return vocab;
}

}  // namespace hone::recipes
