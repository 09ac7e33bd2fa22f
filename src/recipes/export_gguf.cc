#include "recipes/export_gguf.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/thread_pool.h"
#include "models/gguf_layout.h"
#include "models/rope_table.h"
#include "quant/codec.h"
#include "recipes/merged_weights.h"
#include "recipes/run_chat.h"

namespace hone::recipes {
namespace {

struct OutputType {
  std::string_view word;
  int64_t file_type;  // llama.cpp's number for general.file_type
  DType matrix;
};
constexpr OutputType kTypes[] = {{"f32", 0, DType::kF32},   {"f16", 1, DType::kF16},     {"q4_0", 2, DType::kQ4_0}, {"q8_0", 7, DType::kQ8_0},
                                 {"q4_k_m", 15, DType::kQ4_K}, {"q6_k", 18, DType::kQ6_K}, {"bf16", 32, DType::kBF16}};

const OutputType& output_type(std::string word, const std::string& where) {
  for (char& c : word)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  std::string known;
  for (const OutputType& type : kTypes) {
    if (type.word == word) return type;
    known += (known.empty() ? "" : ", ") + std::string(type.word);
  }
  throw Error(ErrorCode::kInvalidInput, where, fmt::format("unknown GGUF type \"{}\"", word), "known: " + known);
}

// The layer number in "blk.7.attn_v.weight"; −1 for tensors outside the layers.
int64_t layer_of(const std::string& name) { return name.starts_with("blk.") ? std::strtoll(name.c_str() + 4, nullptr, 10) : -1; }

// What a tensor is written as. Quantised files keep the head in six bits, also where it is the embedding; "Q4_K_M" does so for
// values and down projections in half of the layers, where errors cost most.
DType type_of(const std::string& name, const Shape& shape, const OutputType& wanted, const models::ModelConfig& config) {
  const bool router = name.find("ffn_gate_inp") != std::string::npos || name.find("exp_probs_b") != std::string::npos;
  if (shape.rank() == 1 || router) return DType::kF32;
  DType type = wanted.matrix;
  const bool four_bits = type == DType::kQ4_K || type == DType::kQ4_0;
  if (four_bits && name == (config.tied_head ? "token_embd.weight" : "output.weight")) type = DType::kQ6_K;
  if (type == DType::kQ4_K) {
    const int64_t layer = layer_of(name), layers = config.layers;
    const bool costly = name.find("attn_v.") != std::string::npos || name.find("ffn_down") != std::string::npos;
    const bool chosen = layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
    if (costly && layer >= 0 && chosen) type = DType::kQ6_K;
  }
  const int64_t cols = shape[-1];
  if (cols % traits(type).block_elements == 0) return type;
  if (type == DType::kQ4_K) type = DType::kQ5_0;
  else if (type == DType::kQ6_K) type = DType::kQ8_0;
  return cols % traits(type).block_elements == 0 ? type : DType::kF16;
}

Tensor encoded(const Tensor& values, DType type) {
  Tensor out = Tensor::empty(values.shape(), type);
  const int64_t cols = values.shape()[-1], rows = values.elements() / cols, bytes = row_bytes(type, cols);
  ThreadPool::global().ranges(rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      quant::encode_row(type, values.data<float>() + r * cols, cols, static_cast<std::byte*>(out.raw_mutable()) + r * bytes);
  });
  return out;
}

Tensor decoded(const Tensor& stored) {
  Tensor values = Tensor::empty(stored.shape(), DType::kF32);
  const int64_t cols = stored.shape()[-1], rows = stored.elements() / cols, bytes = row_bytes(stored.dtype(), cols);
  ThreadPool::global().ranges(rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      quant::decode_row(stored.dtype(), static_cast<const std::byte*>(stored.raw()) + r * bytes, cols, values.data_mutable<float>() + r * cols);
  });
  return values;
}

// Tokens, merges and special tokens as every reader of the format expects them.
void add_tokenizer(io::GgufMetadata& out, const ModelFiles& files) {
  const models::ModelConfig& config = files.source->config();
  const text::GgufVocab v = files.tokenizer.to_gguf(config.vocab_size);
  out.emplace_back("tokenizer.ggml.model", v.model);
  out.emplace_back("tokenizer.ggml.pre", v.pre);
  out.emplace_back("tokenizer.ggml.tokens", v.tokens);
  if (!v.scores.empty()) out.emplace_back("tokenizer.ggml.scores", v.scores);
  out.emplace_back("tokenizer.ggml.token_type", v.types);
  if (v.model == "gpt2") out.emplace_back("tokenizer.ggml.merges", v.merges);
  const int64_t bos = v.bos >= 0 ? v.bos : config.bos_id;
  const int64_t eos = v.eos >= 0 ? v.eos : config.eos_ids.empty() ? -1 : config.eos_ids.front();
  const auto id = [&](const char* key, int64_t value) {
    if (value >= 0 && value < config.vocab_size) out.emplace_back(key, value);
  };
  id("tokenizer.ggml.bos_token_id", bos);
  id("tokenizer.ggml.eos_token_id", eos);
  if (files.end_of_turn >= 0 && files.end_of_turn != eos) id("tokenizer.ggml.eot_token_id", files.end_of_turn);
  // Where more tokens end an answer than the keys of the format can name.
  std::vector<int64_t> further;
  for (const int64_t end : config.eos_ids)
    if (end != eos && end != files.end_of_turn) further.push_back(end);
  if (!further.empty()) out.emplace_back("hone.stop_token_ids", further);
  id("tokenizer.ggml.unknown_token_id", v.unk);
  id("tokenizer.ggml.padding_token_id", v.pad);
  out.emplace_back("tokenizer.ggml.add_bos_token", *v.add_bos);
  out.emplace_back("tokenizer.ggml.add_eos_token", *v.add_eos);
  if (v.add_space_prefix) out.emplace_back("tokenizer.ggml.add_space_prefix", *v.add_space_prefix);
}

io::GgufMetadata metadata_of(const ModelFiles& files, const OutputType& type) {
  const io::GgufMetadata chat = run_chat_metadata(run_chat_of(files));
  const auto replaced = [&](const std::string& key) {
    return key == "general.file_type" || key == "general.alignment" || key == "general.quantization_version" ||
           std::any_of(chat.begin(), chat.end(), [&](const auto& entry) { return entry.first == key; });
  };
  io::GgufMetadata out;
  if (const io::Gguf* gguf = files.source->gguf()) {
    for (const auto& [key, value] : gguf->metadata())
      if (!replaced(key)) out.emplace_back(key, value);
  } else {
    const std::filesystem::path folder = std::filesystem::absolute(files.source->path()).lexically_normal();
    out = models::gguf_architecture(files.source->config(), files.source->path().string());
    out.emplace_back("general.type", std::string("model"));
    out.emplace_back("general.name", (folder.has_filename() ? folder : folder.parent_path()).filename().string());
    for (auto& entry : models::generation_metadata(files.source->generation())) out.push_back(std::move(entry));
    add_tokenizer(out, files);
  }
  out.insert(out.end(), chat.begin(), chat.end());
  out.emplace_back("general.file_type", type.file_type);
  out.emplace_back("general.quantization_version", int64_t{2});
  return out;
}

// A tensor to be written: from the file as it is, or from canonical weights.
struct Planned {
  io::GgufEntry entry;
  Tensor stored;                       // undefined when `made` gives the values
  const models::GgufTensor* made = nullptr;
};

std::vector<Planned> plan(const models::ModelSource& source, const std::vector<models::GgufTensor>& layout, const MergedWeights& merged, const OutputType& type) {
  std::vector<Planned> out;
  const auto entry = [&](const std::string& name, const Shape& shape) { return io::GgufEntry{name, type_of(name, shape, type, source.config()), shape}; };
  const io::Gguf* gguf = source.gguf();
  if (!gguf) {
    for (const models::GgufTensor& tensor : layout) out.push_back({entry(tensor.name, tensor.shape), {}, &tensor});
    if (source.config().rope.scaling == models::RopeScaling::kLlama3) {
      const std::vector<float> divisors = models::llama3_divisors(source.config().rope);
      const Tensor values = Tensor::from({static_cast<int64_t>(divisors.size())}, std::span<const float>(divisors));
      out.push_back({{"rope_freqs.weight", DType::kF32, values.shape()}, values, nullptr});
    }
    return out;
  }
  std::map<std::string, const models::GgufTensor*> by_name;
  for (const models::GgufTensor& tensor : layout) by_name[tensor.name] = &tensor;
  for (const std::string& name : gguf->tensor_names()) {
    const Tensor stored = gguf->tensor(name);
    const auto it = by_name.find(name);
    const bool changed = it != by_name.end() && std::any_of(it->second->parts.begin(), it->second->parts.end(), [&](const std::string& n) { return merged.changed(n); });
    out.push_back({entry(name, stored.shape()), stored, changed ? it->second : nullptr});
  }
  if (merged.unties() && !gguf->has("output.weight")) out.push_back({entry("output.weight", by_name.at("output.weight")->shape), {}, by_name.at("output.weight")});
  return out;
}

bool holds_split_latent(const io::Gguf& gguf) { return gguf.has("blk.0.attn_k_b.weight"); }

}  // namespace

void check_gguf_type(const std::string& type, const std::string& where) { output_type(type, where); }

std::vector<std::string> write_merged_gguf(const std::filesystem::path& file, const ModelFiles& files, models::CausalLm& model, const std::string& type, GgufReader reader) {
  const models::ModelSource& source = *files.source;
  std::vector<std::string> notes = models::llama_cpp_notes(source.config());
  if (!source.gguf())
    for (const std::string& obstacle : models::llama_cpp_obstacles(source)) {
      if (reader == GgufReader::kLlamaCpp) throw Error(ErrorCode::kUnsupported, source.path().string(), obstacle, "use --format safetensors");
      notes.push_back("only hone can run this model, not llama.cpp or Ollama: " + obstacle);
    }
  const OutputType& wanted = output_type(type, "--type");
  const io::GgufMetadata metadata = metadata_of(files, wanted);
  const MergedWeights merged(model, source);
  auto layout = models::gguf_layout(source, !source.gguf() || holds_split_latent(*source.gguf()));
  if (merged.unties()) layout.push_back({"output.weight", source.tensor("model.embed_tokens.weight").shape(), models::GgufTensor::Kind::kWhole, {"lm_head.weight"}});
  const std::vector<Planned> tensors = plan(source, layout, merged, wanted);
  std::vector<io::GgufEntry> entries;
  for (const Planned& t : tensors) entries.push_back(t.entry);
  io::GgufWriter writer(file, metadata, entries);
  const auto write = [&](const Tensor& values, DType as) {
    const Tensor out = encoded(values, as);
    writer.write(out.raw(), out.bytes());
  };
  for (const Planned& t : tensors) {
    if (t.made) models::gguf_values(*t.made, source.config(), [&](const std::string& n) { return merged.f32(n); }, [&](const Tensor& piece) { write(piece, t.entry.type); });
    else if (t.stored.dtype() == t.entry.type) writer.write(t.stored.raw(), t.stored.bytes());
    else write(decoded(t.stored), t.entry.type);
  }
  writer.finish();
  return notes;
}

}  // namespace hone::recipes
