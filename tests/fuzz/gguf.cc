// A GGUF file: header, tensors, the model's configuration, and the tokenizer it holds.
#include "fuzz/target.h"
#include "io/gguf.h"
#include "models/config.h"
#include "recipes/gguf_vocab.h"
#include "store/gguf_facts.h"

namespace hone::fuzz {
namespace {

void run_gguf(const uint8_t* data, size_t size) {
  const MemoryFile file(text_of(data, size));
  const io::Gguf gguf = io::Gguf::open(file.path());
  for (const std::string& name : gguf.tensor_names())
    part([&] {
      const Tensor tensor = gguf.tensor(name);
      const auto* bytes = static_cast<const volatile uint8_t*>(tensor.raw());
      if (tensor.bytes() > 0) static_cast<void>(bytes[0] + bytes[tensor.bytes() - 1]);
      hold(tensor.bytes() <= size, "a tensor is no larger than its file");
    });
  part([&] { store::model_facts(gguf); });
  part([&] { models::config_from_gguf(gguf); });
  part([&] {
    const text::GgufVocab vocab = recipes::gguf_vocab(gguf);
    const auto tokenizer = text::Tokenizer::from_gguf(vocab, "file.gguf");
    const std::string text = " Ab\xC3\xA9 12\n\xE2\x96\x81<s>\xF0\x9F\x98\x80\xFF";
    const auto ids = tokenizer.encode(text);
    for (const int32_t id : ids) hold(id >= 0 && id < tokenizer.vocab_size(), "ids lie within the vocabulary");
    tokenizer.decode(ids);
    text::tokenizer_json(vocab, "file.gguf");
  });
}

const Registered registered_gguf({"gguf", run_gguf, 1500,
                             {"GGUF", "general.architecture", "general.alignment", "llama", "qwen2", "qwen3", "deepseek2", "llama.block_count", "llama.embedding_length", "llama.attention.head_count", "llama.rope.freq_base", "tokenizer.ggml.model",
                              "tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.scores", "tokenizer.ggml.token_type", "tokenizer.ggml.bos_token_id", "gpt2", "token_embd.weight", "output.weight", "blk.0.attn_q.weight"},
                             {"models/llama/model.gguf", "models/deepseek_v2/model.gguf", "tokenizers/llama2.gguf", "tokenizers/qwen2.gguf"}});

}  // namespace
}  // namespace hone::fuzz
