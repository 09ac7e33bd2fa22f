// Writes a small random llama model with a byte-level tokenizer and a chat template, for tests: tiny_model OUT.gguf [f32|q8_0]
#include <cstdio>
#include <cstring>
#include <string>

#include "base/rng.h"
#include "io/gguf_writer.h"
#include "quant/codec.h"

namespace {

using namespace hone;

constexpr int64_t kWidth = 64, kLayers = 2, kHeads = 4, kKvHeads = 2, kFeed = 96;

std::string utf8(uint32_t c) {
  if (c < 0x80) return std::string(1, static_cast<char>(c));
  return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
}

// GPT-2's printable stand-in of each byte.
std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens;
  uint32_t next = 256;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    tokens.push_back(utf8(printable ? b : next++));
  }
  return tokens;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const DType type = argc > 2 && std::strcmp(argv[2], "q8_0") == 0 ? DType::kQ8_0 : DType::kF32;
  std::vector<std::string> tokens = byte_tokens();
  std::vector<int64_t> types(256, 1);
  for (const char* special : {"<|im_start|>", "<|im_end|>"}) {
    tokens.emplace_back(special);
    types.push_back(3);
  }
  tokens.emplace_back("th");
  types.push_back(1);
  const auto vocab = static_cast<int64_t>(tokens.size());
  const io::GgufMetadata metadata = {
      {"general.architecture", std::string("llama")},
      {"llama.block_count", kLayers},
      {"llama.context_length", int64_t{512}},
      {"llama.embedding_length", kWidth},
      {"llama.feed_forward_length", kFeed},
      {"llama.attention.head_count", kHeads},
      {"llama.attention.head_count_kv", kKvHeads},
      {"llama.attention.layer_norm_rms_epsilon", 1e-5},
      {"llama.rope.dimension_count", kWidth / kHeads},
      {"llama.rope.freq_base", 10000.0},
      {"tokenizer.ggml.model", std::string("gpt2")},
      {"tokenizer.ggml.pre", std::string("gpt-2")},
      {"tokenizer.ggml.tokens", tokens},
      {"tokenizer.ggml.token_type", types},
      {"tokenizer.ggml.merges", std::vector<std::string>{"t h"}},
      {"tokenizer.ggml.bos_token_id", int64_t{256}},
      {"tokenizer.ggml.eos_token_id", int64_t{257}},
      {"tokenizer.chat_template",
       std::string("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
                   "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")},
  };
  std::vector<io::GgufEntry> entries = {{"token_embd.weight", type, {vocab, kWidth}}, {"output_norm.weight", DType::kF32, {kWidth}}};
  const int64_t kv = kKvHeads * kWidth / kHeads;
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    const std::string p = "blk." + std::to_string(layer) + ".";
    entries.push_back({p + "attn_norm.weight", DType::kF32, {kWidth}});
    entries.push_back({p + "ffn_norm.weight", DType::kF32, {kWidth}});
    for (const auto& [name, rows, cols] : {std::tuple{"attn_q", kWidth, kWidth}, {"attn_k", kv, kWidth}, {"attn_v", kv, kWidth}, {"attn_output", kWidth, kWidth},
                                           {"ffn_gate", kFeed, kWidth}, {"ffn_up", kFeed, kWidth}, {"ffn_down", kWidth, kFeed}})
      entries.push_back({p + name + ".weight", type, {rows, cols}});
  }
  io::GgufWriter writer(argv[1], metadata, entries);
  uint32_t stream = 0;
  for (const io::GgufEntry& entry : entries) {
    const Rng rng{1, ++stream, 0};
    std::vector<float> x(static_cast<size_t>(entry.shape.elements()));
    for (size_t i = 0; i < x.size(); ++i) x[i] = entry.shape.rank() == 1 ? 1.0f : 0.08f * rng.normal(i);
    std::string bytes(static_cast<size_t>(entry.shape.elements() / entry.shape[-1] * row_bytes(entry.type, entry.shape[-1])), '\0');
    quant::encode_row(entry.type, x.data(), static_cast<int64_t>(x.size()), bytes.data());
    writer.write(bytes.data(), bytes.size());
  }
  writer.finish();
  return 0;
}
