// Writes a small random model with a byte-level tokenizer and a chat template, for tests:
// tiny_model OUT.gguf [f32|q8_0] [llama|qwen2|qwen3|deepseek2] [times as wide] [TEMPLATE BOS EOS [special token]…]
// TEMPLATE: a Jinja file or a known name instead of ChatML; BOS and EOS: its tokens, "" for none.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/rng.h"
#include "io/gguf_writer.h"
#include "quant/codec.h"
#include "text/chat_template.h"

namespace {

using namespace hone;

constexpr const char* kChatml =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
constexpr int64_t kLayers = 2, kHeads = 4, kKvHeads = 2;

struct Sizes {
  int64_t context = 512;
  int64_t width = 64, feed = 96;
  // deepseek2: latents, parts of a head, experts of which one layer consists
  int64_t q_latent = 24, kv_latent = 16, nope = 16, rope = 8, value = 16, experts = 4, expert_feed = 32;
};

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

io::GgufMetadata family_metadata(const std::string& family, const Sizes& z) {
  const auto key = [&](const char* name) { return family + "." + name; };
  io::GgufMetadata metadata = {
      {"general.architecture", family},
      {key("block_count"), kLayers},
      {key("context_length"), int64_t{z.context}},
      {key("embedding_length"), z.width},
      {key("feed_forward_length"), z.feed},
      {key("attention.head_count"), kHeads},
      {key("attention.head_count_kv"), family == "deepseek2" ? kHeads : kKvHeads},
      {key("attention.layer_norm_rms_epsilon"), 1e-5},
      {key("rope.dimension_count"), family == "deepseek2" ? z.rope : z.width / kHeads},
      {key("rope.freq_base"), 10000.0},
  };
  if (family == "deepseek2") {
    const io::GgufMetadata more = {{key("attention.q_lora_rank"), z.q_latent},
                                   {key("attention.kv_lora_rank"), z.kv_latent},
                                   {key("attention.key_length"), z.nope + z.rope},
                                   {key("attention.value_length"), z.value},
                                   {key("leading_dense_block_count"), int64_t{1}},
                                   {key("expert_count"), z.experts},
                                   {key("expert_used_count"), int64_t{2}},
                                   {key("expert_shared_count"), int64_t{1}},
                                   {key("expert_feed_forward_length"), z.expert_feed},
                                   {key("expert_weights_scale"), 1.0}};
    metadata.insert(metadata.end(), more.begin(), more.end());
  }
  return metadata;
}

void add_layer(std::vector<io::GgufEntry>& entries, const std::string& family, const Sizes& z, DType type, int64_t layer) {
  const std::string p = "blk." + std::to_string(layer) + ".";
  const auto vector = [&](const char* name, int64_t size) { entries.push_back({p + name, DType::kF32, {size}}); };
  const auto matrix = [&](const char* name, int64_t rows, int64_t cols) { entries.push_back({p + name + ".weight", type, {rows, cols}}); };
  const int64_t kv = kKvHeads * z.width / kHeads;
  vector("attn_norm.weight", z.width);
  vector("ffn_norm.weight", z.width);
  if (family == "deepseek2") {
    matrix("attn_q_a", z.q_latent, z.width);
    vector("attn_q_a_norm.weight", z.q_latent);
    matrix("attn_q_b", kHeads * (z.nope + z.rope), z.q_latent);
    matrix("attn_kv_a_mqa", z.kv_latent + z.rope, z.width);
    vector("attn_kv_a_norm.weight", z.kv_latent);
    matrix("attn_kv_b", kHeads * (z.nope + z.value), z.kv_latent);
    matrix("attn_output", z.width, kHeads * z.value);
  } else {
    matrix("attn_q", z.width, z.width);
    matrix("attn_k", kv, z.width);
    matrix("attn_v", kv, z.width);
    matrix("attn_output", z.width, z.width);
  }
  if (family == "qwen2") {
    vector("attn_q.bias", z.width);
    vector("attn_k.bias", kv);
    vector("attn_v.bias", kv);
  }
  if (family == "qwen3")
    for (const char* name : {"attn_q_norm.weight", "attn_k_norm.weight"}) vector(name, z.width / kHeads);
  if (family == "deepseek2" && layer > 0) {
    entries.push_back({p + "ffn_gate_inp.weight", DType::kF32, {z.experts, z.width}});
    entries.push_back({p + "ffn_gate_exps.weight", type, {z.experts, z.expert_feed, z.width}});
    entries.push_back({p + "ffn_up_exps.weight", type, {z.experts, z.expert_feed, z.width}});
    entries.push_back({p + "ffn_down_exps.weight", type, {z.experts, z.width, z.expert_feed}});
    matrix("ffn_gate_shexp", z.expert_feed, z.width);
    matrix("ffn_up_shexp", z.expert_feed, z.width);
    matrix("ffn_down_shexp", z.width, z.expert_feed);
  } else {
    matrix("ffn_gate", z.feed, z.width);
    matrix("ffn_up", z.feed, z.width);
    matrix("ffn_down", z.width, z.feed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const DType type = argc > 2 && std::strcmp(argv[2], "q8_0") == 0 ? DType::kQ8_0 : DType::kF32;
  const std::string family = argc > 3 ? argv[3] : "llama";
  Sizes z;
  if (argc > 4)
    for (int64_t* size : {&z.width, &z.feed, &z.q_latent, &z.kv_latent, &z.nope, &z.rope, &z.value, &z.expert_feed}) *size *= std::atoi(argv[4]);
  std::vector<std::string> tokens = byte_tokens();
  std::vector<int64_t> types(256, 1);
  int64_t bos = 256, eos = 257;
  std::vector<std::string> specials = {"<|im_start|>", "<|im_end|>"};
  std::string chat_template = kChatml;
  if (argc > 7) {
    z.context = 4096;
    chat_template = std::filesystem::exists(argv[5]) ? read_file(argv[5], size_t{1} << 20) : text::chat_template_by_name(argv[5]);
    specials.assign(argv + 6, argv + argc);
    bos = specials[0].empty() ? -1 : 256;
    if (bos < 0) specials.erase(specials.begin());
    eos = bos < 0 ? 256 : 257;
  }
  for (const std::string& special : specials) {
    tokens.push_back(special);
    types.push_back(3);
  }
  tokens.emplace_back("th");
  types.push_back(1);
  const auto vocab = static_cast<int64_t>(tokens.size());
  io::GgufMetadata metadata = family_metadata(family, z);
  const io::GgufMetadata tokenizer = {
      {"tokenizer.ggml.model", std::string("gpt2")},
      {"tokenizer.ggml.pre", std::string("gpt-2")},
      {"tokenizer.ggml.tokens", tokens},
      {"tokenizer.ggml.token_type", types},
      {"tokenizer.ggml.merges", std::vector<std::string>{"t h"}},
      {"tokenizer.ggml.eos_token_id", eos},
      {"tokenizer.chat_template", chat_template},
  };
  metadata.insert(metadata.end(), tokenizer.begin(), tokenizer.end());
  if (bos >= 0) metadata.emplace_back("tokenizer.ggml.bos_token_id", bos);
  std::vector<io::GgufEntry> entries = {{"token_embd.weight", type, {vocab, z.width}}, {"output_norm.weight", DType::kF32, {z.width}}};
  for (int64_t layer = 0; layer < kLayers; ++layer) add_layer(entries, family, z, type, layer);
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
