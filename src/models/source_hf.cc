#include "models/source_hf.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

#include "base/json_file.h"
#include "models/format_keys.h"
#include "models/weights.h"

namespace hone::models {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

bool present(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The shards that the index names: plain file names of this directory, each once.
std::vector<fs::path> shards_of_index(const fs::path& directory) {
  const fs::path index = directory / kIndex;
  const nlohmann::json json = read_json(index);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object() || map->empty())
    throw Error(ErrorCode::kInvalidInput, index.string(), "expected an object \"weight_map\" of weight names and files",
                "download the index again");
  std::set<std::string> files;
  for (const auto& [weight, file] : map->items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || fs::path(name).filename().string() != name || name == "." || name == "..")
      throw Error(ErrorCode::kInvalidInput, index.string(),
                  fmt::format("weight \"{}\": expected the name of a file in the same folder", weight),
                  "download the index again");
    files.insert(name);
  }
  std::vector<fs::path> paths;
  for (const std::string& file : files) paths.push_back(directory / file);
  return paths;
}

std::vector<fs::path> files_with_weights(const fs::path& directory) {
  if (present(directory / kSingle)) return {directory / kSingle};
  if (present(directory / kIndex)) return shards_of_index(directory);
  const bool pickled = present(directory / "pytorch_model.bin") || present(directory / "pytorch_model.bin.index.json");
  throw Error(ErrorCode::kNotFound, directory.string(), fmt::format("neither {} nor {}", kSingle, kIndex),
              pickled
                  ? "pytorch_model.bin is executable pickle, which hone does not open: convert it to safetensors with "
                    "transformers' save_pretrained"
                  : "name a folder with config.json and safetensors, or a .gguf file");
}

bool same_values(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";

}  // namespace

HuggingFaceSource::HuggingFaceSource(const fs::path& directory) {
  path_ = directory;
  const fs::path config = directory / "config.json";
  if (!present(config))
    throw Error(ErrorCode::kNotFound, directory.string(), "config.json is missing",
                "name a folder with config.json and safetensors, or a .gguf file");
  const nlohmann::json json = read_json(config);
  config_ = config_from_json(json, config.string());
  notes_ = check_config_keys(json, config.string());
  if (const fs::path file = directory / "generation_config.json"; present(file)) {
    generation_ = generation_from_json(read_json(file), file.string(), notes_);
    for (const int64_t id : generation_.eos_ids)
      if (std::find(config_.eos_ids.begin(), config_.eos_ids.end(), id) == config_.eos_ids.end()) config_.eos_ids.push_back(id);
  }
  for (const fs::path& file : files_with_weights(directory)) {
    shards_.push_back(io::Safetensors::open(file));
    for (const std::string& name : shards_.back().names())
      if (!shard_of_.emplace(name, shards_.size() - 1).second)
        throw Error(ErrorCode::kInvalidInput, file.string(), fmt::format("weight \"{}\" is in two shards", name),
                    "remove the files that do not belong to this model");
  }
  // As transformers has it: a head of its own counts, whatever the configuration says, unless it is the embedding once more.
  if (config_.tied_head && has(kHead) && has(kEmbedding) && !same_values(tensor(kHead), tensor(kEmbedding))) {
    config_.tied_head = false;
    notes_.push_back(fmt::format("{}: tie_word_embeddings is true, but {} differs from the embedding: it is kept", config.string(), kHead));
  }
  note_unknown_weights();
}

// Weights without a place are passed over, as transformers does; buffers and layers that predict further tokens go without saying.
void HuggingFaceSource::note_unknown_weights() {
  std::set<std::string, std::less<>> known = {kHead};
  each_weight(config_, [&](const Weight& weight) { known.insert(weight.name); });
  std::string first;
  size_t count = 0;
  for (const auto& [name, shard] : shard_of_) {
    if (known.contains(name) || name.ends_with("rotary_emb.inv_freq")) continue;
    constexpr std::string_view kBlocks = "model.layers.";
    if (name.starts_with(kBlocks) && std::strtoll(name.c_str() + kBlocks.size(), nullptr, 10) >= config_.layers) continue;
    if (count++ == 0) first = name;
  }
  if (count > 0)
    notes_.push_back(count == 1 ? fmt::format("{}: the weight \"{}\" has no place in this architecture and is passed over", path_.string(), first)
                                : fmt::format("{}: {} weights have no place in this architecture and are passed over, the first \"{}\"", path_.string(), count, first));
}

Tensor HuggingFaceSource::tensor(std::string_view name) const {
  const auto it = shard_of_.find(name);
  if (it == shard_of_.end())
    throw Error(ErrorCode::kInvalidInput, path_.string(), fmt::format("weight \"{}\" is missing", name),
                "the model's files are incomplete; download them again");
  return shards_[it->second].tensor(name);
}

}  // namespace hone::models
