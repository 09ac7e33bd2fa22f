#include "recipes/export_safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/json_file.h"
#include "base/thread_pool.h"
#include "io/atomic_file.h"
#include "io/safetensors.h"
#include "models/config_write.h"
#include "models/names.h"
#include "quant/codec.h"
#include "recipes/gguf_vocab.h"
#include "recipes/merged_weights.h"
#include "recipes/run_chat.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::optional<DType> plain_type(const std::string& word) {
  if (word.empty()) return std::nullopt;
  if (word == "bf16") return DType::kBF16;
  if (word == "f16") return DType::kF16;
  if (word == "f32") return DType::kF32;
  throw Error(ErrorCode::kInvalidInput, "--type", fmt::format("safetensors hold bf16, f16 or f32; found \"{}\"", word), "use one of these");
}

bool plain(DType type) { return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16; }

const char* torch_name(DType type) { return type == DType::kF32 ? "float32" : type == DType::kF16 ? "float16" : "bfloat16"; }

void write_values(io::SafetensorsWriter& writer, const Tensor& values, DType type) {
  if (type == DType::kF32) return writer.write(values.raw(), values.bytes());
  Tensor out = Tensor::empty(values.shape(), type);
  const int64_t cols = values.shape()[-1], rows = values.elements() / cols, bytes = row_bytes(type, cols);
  ThreadPool::global().ranges(rows, 8, [&](int64_t begin, int64_t end) {
    quant::encode_row(type, values.data<float>() + begin * cols, (end - begin) * cols, static_cast<std::byte*>(out.raw_mutable()) + begin * bytes);
  });
  writer.write(out.raw(), out.bytes());
}

Tensor decoded_values(const Tensor& stored) {
  Tensor values = Tensor::empty(stored.shape(), DType::kF32);
  quant::decode_row(stored.dtype(), stored.raw(), stored.elements(), values.data_mutable<float>());
  return values;
}

bool belongs_to_model(const fs::path& file) {
  static const std::vector<std::string> endings = {".json", ".jinja", ".txt", ".model"};
  return std::find(endings.begin(), endings.end(), file.extension().string()) != endings.end();
}

// `head`: of a tied model whose head is one of its own now, which the file takes up. `tied`: a head in the file is the embedding once
// more, and stays so.
void copy_weights(const fs::path& from, const fs::path& to, const MergedWeights& merged, bool tied, std::optional<DType> type, const std::optional<io::SafetensorsEntry>& head) {
  const io::Safetensors file = io::Safetensors::open(from);
  std::vector<io::SafetensorsEntry> entries;
  for (const std::string& name : file.names()) {
    if (merged.unties() && name == "lm_head.weight") continue;  // the embedding once more, which it is no longer
    if (!file.readable(name)) continue;  // a buffer without a place in the model, which a note named when it was opened
    const Tensor stored = file.tensor(name);
    entries.push_back({name, plain(stored.dtype()) ? type.value_or(stored.dtype()) : stored.dtype(), stored.shape()});
  }
  if (head) entries.push_back(*head);
  io::SafetensorsWriter writer(to, entries, {{"format", "pt"}});
  for (const auto& e : entries) {
    if (head && e.name == head->name) {
      write_values(writer, merged.f32(e.name), e.type);
      continue;
    }
    const Tensor stored = file.tensor(e.name);
    const std::string weight = tied && e.name == "lm_head.weight" ? "model.embed_tokens.weight" : e.name;
    if (!merged.changed(weight) && stored.dtype() == e.type) writer.write(stored.raw(), stored.bytes());
    else write_values(writer, merged.changed(weight) ? merged.f32(weight) : decoded_values(stored), e.type);
  }
  writer.finish();
}

// A file of settings as the result needs it: config.json names the type when one was chosen; the chat template is the one that
// the result was trained with, and generation stops where that ends a turn. Nothing: the file stays as it is.
std::optional<Json> changed_settings(const fs::path& file, const ModelFiles& files, bool untied, std::optional<DType> type) {
  const std::string name = file.filename().string();
  if (name == "config.json" && (type || untied)) {
    Json config = read_json(file);
    if (type) {
      config.erase("dtype");
      config["torch_dtype"] = torch_name(*type);
    }
    // A head of its own beside a configuration that ties it (also models/source_hf.cc) would be dropped by older readers.
    if (untied && config.value("tie_word_embeddings", false)) config["tie_word_embeddings"] = false;
    return config;
  }
  const bool other_template = files.chat && text::chat_template_of_directory(file.parent_path()) != files.chat->source();
  if (other_template && (name == "tokenizer_config.json" || name == "chat_template.json")) {
    Json config = read_json(file);
    if (!config.is_object() || !config.contains("chat_template")) return std::nullopt;
    config["chat_template"] = files.chat->source();
    return config;
  }
  const std::vector<int64_t>& ends = files.source->config().eos_ids;
  const bool ends_otherwise = files.end_of_turn >= 0 && std::find(ends.begin(), ends.end(), files.end_of_turn) == ends.end();
  if (other_template && ends_otherwise && name == "generation_config.json") {
    Json config = read_json(file);
    if (config.is_object()) config["eos_token_id"] = files.stop_ids;
    return config;
  }
  return std::nullopt;
}

// The files of the folder that belong to the model, and weights with the change added.
std::vector<fs::path> copy_folder(const fs::path& folder, const ModelFiles& model, const MergedWeights& merged, std::optional<DType> type) {
  const models::ModelSource& source = *model.source;
  std::vector<fs::path> written;
  const std::vector<fs::path> files = source.weight_files();
  for (const fs::path& file : files) {
    written.push_back(folder / file.filename());
    std::optional<io::SafetensorsEntry> head;
    if (merged.unties() && file == files.back()) {
      const Tensor embedding = source.tensor("model.embed_tokens.weight");
      head = {"lm_head.weight", type.value_or(embedding.dtype()), embedding.shape()};
    }
    copy_weights(file, written.back(), merged, source.config().tied_head, type, head);
  }
  for (const auto& entry : fs::directory_iterator(source.path())) {
    if (!entry.is_regular_file() || !belongs_to_model(entry.path())) continue;
    written.push_back(folder / entry.path().filename());
    const bool untied = merged.unties() || !source.config().tied_head;
    if (const auto settings = changed_settings(entry.path(), model, untied, type)) {
      io::write_file(written.back(), settings->dump(2) + "\n");
    } else if (entry.path().filename() == "model.safetensors.index.json" && merged.unties()) {
      Json index = read_json(entry.path());
      index["weight_map"]["lm_head.weight"] = files.back().filename().string();
      io::write_file(written.back(), index.dump(2) + "\n");
    } else {
      fs::copy_file(entry.path(), written.back(), fs::copy_options::overwrite_existing);
    }
  }
  return written;
}

std::string dumped(const Json& json, const std::string& where) {
  try {
    return json.dump(2) + "\n";
  } catch (const Json::type_error& error) {
    throw Error(ErrorCode::kUnsupported, where, fmt::format("a text is not UTF-8, which JSON cannot hold: {}", error.what()), "use --format gguf");
  }
}

Json tokenizer_config(const ModelFiles& files, const text::GgufVocab& vocab) {
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}, {"model_max_length", files.source->config().max_positions},
                 {"add_bos_token", vocab.bos >= 0 && text::adds_bos(vocab)}, {"add_eos_token", vocab.eos >= 0 && vocab.add_eos.value_or(false)}};
  for (const auto& [key, id] : {std::pair{"bos_token", vocab.bos}, {"eos_token", vocab.eos}, {"pad_token", vocab.pad}, {"unk_token", vocab.unk}})
    if (id >= 0) config[key] = vocab.tokens[static_cast<size_t>(id)];
  if (files.chat) config["chat_template"] = files.chat->source();
  return config;
}

// The folder of a GGUF base: everything is made from its metadata.
std::vector<fs::path> make_folder(const fs::path& folder, const ModelFiles& files, const MergedWeights& merged, DType type) {
  const models::ModelSource& source = *files.source;
  const std::string where = source.path().string();
  const text::GgufVocab vocab = gguf_vocab(*source.gguf());
  std::vector<fs::path> written;
  const auto write = [&](const char* name, const std::string& content) {
    io::write_file(folder / name, content);
    written.push_back(folder / name);
  };
  Json config = models::hugging_face_config(source, type);
  if (merged.unties()) config["tie_word_embeddings"] = false;
  write("config.json", dumped(config, where));
  Json generation = models::generation_config(source.generation());
  if (source.config().bos_id >= 0) generation["bos_token_id"] = source.config().bos_id;
  if (!files.stop_ids.empty()) generation["eos_token_id"] = files.stop_ids;
  write("generation_config.json", dumped(generation, where));
  write("tokenizer.json", text::tokenizer_json(vocab, where));
  write("tokenizer_config.json", dumped(tokenizer_config(files, vocab), where));

  std::vector<io::SafetensorsEntry> entries;
  for (const std::string& name : models::weight_names(source.config()))
    if (source.has(name)) entries.push_back({name, type, source.tensor(name).shape()});
  if (merged.unties()) entries.push_back({"lm_head.weight", type, source.tensor("model.embed_tokens.weight").shape()});
  io::SafetensorsWriter writer(folder / "model.safetensors", entries, {{"format", "pt"}});
  for (const auto& e : entries) write_values(writer, merged.f32(e.name), e.type);
  writer.finish();
  written.push_back(folder / "model.safetensors");
  return written;
}

}  // namespace

std::vector<fs::path> write_merged_safetensors(const fs::path& folder, const ModelFiles& files, models::CausalLm& model, const std::string& type) {
  const std::optional<DType> wanted = plain_type(type);
  const MergedWeights merged(model, *files.source);
  const bool gguf = files.source->gguf() != nullptr;
  std::error_code ignored;
  if (!gguf && fs::equivalent(folder, files.source->path(), ignored))
    throw Error(ErrorCode::kInvalidInput, folder.string(), "is the base model's own folder", "choose another place with --out");
  std::vector<fs::path> written = gguf ? make_folder(folder, files, merged, wanted.value_or(DType::kF16))
                                       : copy_folder(folder, files, merged, wanted);
  write_run_chat(folder, run_chat_of(files));
  return written;
}

}  // namespace hone::recipes
