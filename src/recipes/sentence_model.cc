#include "recipes/sentence_model.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/json_file.h"
#include "base/thread_pool.h"
#include "io/safetensors.h"
#include "recipes/gguf_vocab.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kBatchTokens = 2048;  // computed together: large enough for the products, small enough for the cache
constexpr size_t kSettingsBytes = 1 << 20;

// A file is GGUF whatever its name: the store names its blobs by digest.
bool is_gguf(const fs::path& path) { return fs::is_regular_file(path); }

// A tensor of model.safetensors under the names that published models use: with or without "bert.", gamma and beta for weight and bias.
models::Bert::Weights weights_of(const io::Safetensors& file) {
  const std::string prefix = file.has("bert.embeddings.word_embeddings.weight") ? "bert." : "";
  return [file, prefix](const std::string& name) {
    std::string found = prefix + name;
    if (!file.has(found) && name.find("LayerNorm") != std::string::npos) found = found.substr(0, found.rfind('.')) + (name.ends_with(".weight") ? ".gamma" : ".beta");
    return file.has(found) ? file.tensor(found) : Tensor{};
  };
}

// GGUF marks where words begin, vocab.txt where they go on.
std::vector<std::string> word_piece_tokens(const text::GgufVocab& vocab) {
  constexpr std::string_view kBegin = "▁";
  std::vector<std::string> tokens;
  for (const std::string& token : vocab.tokens) {
    if (token.starts_with(kBegin)) tokens.push_back(token.substr(kBegin.size()));
    else if (token.starts_with('[') && token.ends_with(']') && token.size() > 2) tokens.push_back(token);
    else tokens.push_back("##" + token);
  }
  return tokens;
}

void check_vocabulary(const text::WordPiece& words, const models::Bert& bert, const std::string& where) {
  if (words.vocab_size() > bert.config().vocab_size)
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("the tokenizer has {} tokens, the model {}", words.vocab_size(), bert.config().vocab_size), "they belong to different models; download both again");
  if (bert.config().max_positions < 2) throw Error(ErrorCode::kInvalidInput, where, "a text may have one token only", "name another model");
}

}  // namespace

bool SentenceModel::is_encoder(const fs::path& path) {
  if (is_gguf(path)) return io::Gguf::open(path).find_string("general.architecture") == "bert";
  if (!fs::is_regular_file(path / "config.json")) return false;
  const json config = read_json(path / "config.json", kSettingsBytes);
  return config.is_object() && config.contains("model_type") && config["model_type"] == "bert";
}

SentenceModel SentenceModel::open(const fs::path& path) { return is_gguf(path) ? open_gguf(path) : open_folder(path); }

SentenceModel SentenceModel::open_folder(const fs::path& folder) {
  const fs::path config = folder / "config.json", file = folder / "model.safetensors";
  if (!fs::exists(config)) throw Error(ErrorCode::kNotFound, folder.string(), "config.json is missing", "name a folder with config.json, model.safetensors and a tokenizer, or a .gguf file");
  const models::BertConfig settings = models::bert_config_from_json(read_json(config, kSettingsBytes), config.string());
  if (!fs::exists(file))
    throw Error(ErrorCode::kNotFound, folder.string(), "model.safetensors is missing",
                fs::exists(folder / "pytorch_model.bin") ? "pytorch_model.bin is executable pickle, which hone does not open: convert it to safetensors with transformers' save_pretrained" : "download it from where the model was published");
  SentenceModel model(models::Bert::load(settings, weights_of(io::Safetensors::open(file)), file.string()), text::WordPiece::from_folder(folder));
  check_vocabulary(model.words_, model.bert_, folder.string());
  if (fs::exists(folder / "modules.json")) model.read_modules(folder);
  if (const fs::path limits = folder / "sentence_bert_config.json"; fs::exists(limits)) {
    const json object = read_json(limits, kSettingsBytes);
    if (const json most = object.is_object() ? object.value("max_seq_length", json()) : json(); most.is_number_unsigned())
      model.most_tokens_ = static_cast<int64_t>(std::clamp<uint64_t>(most.get<uint64_t>(), 2, static_cast<uint64_t>(model.most_tokens_)));
  }
  return model;
}

// What follows the encoder. A module that would change the vectors and is not known is an error.
void SentenceModel::read_modules(const fs::path& folder) {
  const fs::path file = folder / "modules.json";
  const json modules = read_json(file, kSettingsBytes);
  if (!modules.is_array()) throw Error(ErrorCode::kInvalidInput, file.string(), "is not a list of modules", "download it again");
  normalized_ = false;
  for (const json& module : modules) {
    const std::string type = module.is_object() && module.contains("type") && module["type"].is_string() ? module["type"].get<std::string>() : "", kind = type.substr(type.rfind('.') + 1);
    if (kind == "Transformer") continue;
    if (kind == "Normalize") {
      normalized_ = true;
    } else if (kind == "Pooling") {
      const std::string at = module.contains("path") && module["path"].is_string() ? module["path"].get<std::string>() : "";
      if (at.empty() || fs::path(at).filename() != at || at == "." || at == "..") throw Error(ErrorCode::kInvalidInput, file.string(), "the pooling's path must be a folder beside it", "download it again");
      read_pooling(folder / at);
    } else {
      throw Error(ErrorCode::kUnsupported, file.string(), fmt::format("module \"{}\" is not supported", type), "known: Transformer, Pooling (mean or cls), Normalize");
    }
  }
}

void SentenceModel::read_pooling(const fs::path& folder) {
  const fs::path file = folder / "config.json";
  const json config = read_json(file, kSettingsBytes);
  if (!config.is_object()) throw Error(ErrorCode::kInvalidInput, file.string(), "is not a JSON object", "download it again");
  std::string mode = config.contains("pooling_mode") && config["pooling_mode"].is_string() ? config["pooling_mode"].get<std::string>() : "";
  for (const auto& [key, value] : config.items())  // one flag per mode, as older versions write it
    if (key.starts_with("pooling_mode_") && value == true) mode += (mode.empty() ? "" : " + ") + key.substr(std::string_view("pooling_mode_").size());
  if (mode == "mean" || mode == "mean_tokens") pooling_ = models::Pooling::kMean;
  else if (mode == "cls" || mode == "cls_token") pooling_ = models::Pooling::kCls;
  else throw Error(ErrorCode::kUnsupported, file.string(), fmt::format("pooling \"{}\" is not supported", mode), "known: mean and cls");
}

SentenceModel SentenceModel::open_gguf(const fs::path& path) {
  const io::Gguf gguf = io::Gguf::open(path);
  const auto weights = [&](const std::string& name) {
    const std::string theirs = models::bert_gguf_name(name);
    return gguf.has(theirs) ? gguf.tensor(theirs) : Tensor{};
  };
  const text::GgufVocab vocab = gguf_vocab(gguf);
  if (vocab.model != "bert") throw Error(ErrorCode::kUnsupported, path.string(), fmt::format("tokenizer \"{}\" is not supported for an encoder", vocab.model), "known: bert (WordPiece)");
  SentenceModel model(models::Bert::load(models::bert_config_from_gguf(gguf), weights, path.string()), text::WordPiece::from_tokens(word_piece_tokens(vocab), {}, path.string()));
  check_vocabulary(model.words_, model.bert_, path.string());
  const int64_t pooling = gguf.find_int("bert.pooling_type").value_or(1);
  if (pooling != 1 && pooling != 2) throw Error(ErrorCode::kUnsupported, path.string(), fmt::format("bert.pooling_type {} is not supported", pooling), "known: 1 (mean) and 2 (cls)");
  if (pooling == 2) model.pooling_ = models::Pooling::kCls;
  return model;
}

void SentenceModel::embed(std::span<const std::string_view> texts, float* out) const {
  ThreadPool& pool = ThreadPool::global();
  std::vector<std::vector<int32_t>> ids(texts.size());
  pool.ranges(static_cast<int64_t>(texts.size()), 16, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) ids[i] = words_.encode(texts[i], most_tokens_);
  });
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ids[a].size() > ids[b].size(); });
  std::vector<size_t> begins = {0};  // of the batches, in `order`; the longest first, so that no thread ends with them
  size_t tokens = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (const size_t more = ids[order[i]].size(); tokens > 0 && tokens + more > kBatchTokens) begins.push_back(i), tokens = more;
    else tokens += more;
  }
  begins.push_back(order.size());
  const auto width = static_cast<size_t>(dimensions());
  pool.run(static_cast<int64_t>(begins.size()) - 1, [&](int64_t batch, int) {
    const size_t begin = begins[static_cast<size_t>(batch)], end = begins[static_cast<size_t>(batch) + 1];
    std::vector<std::vector<int32_t>> together;
    for (size_t i = begin; i < end; ++i) together.push_back(ids[order[i]]);
    std::vector<float> rows(together.size() * width);
    bert_.embed(together, pooling_, rows.data());
    for (size_t i = begin; i < end; ++i) {
      const float* row = rows.data() + (i - begin) * width;
      const float length = std::sqrt(std::inner_product(row, row + width, row, 0.0f));
      const float scale = normalized_ ? 1 / std::max(length, 1e-12f) : 1;
      std::transform(row, row + width, out + order[i] * width, [scale](float v) { return v * scale; });
    }
  });
}

}  // namespace hone::recipes
