#include "models/source_hf.h"

#include <algorithm>
#include <set>

#include "base/json_file.h"

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

// Chat models list further end tokens there ("eos_token_id": 7 or [7, 9]).
void add_generation_ends(std::vector<int64_t>& ids, const fs::path& file) {
  if (!present(file)) return;
  const nlohmann::json json = read_json(file);
  const auto eos = json.is_object() ? json.find("eos_token_id") : json.end();
  if (!json.is_object() || eos == json.end()) return;
  for (const auto& id : eos->is_array() ? *eos : nlohmann::json::array({*eos})) {
    if (!id.is_number_integer()) continue;
    const auto value = id.get<int64_t>();
    if (value >= 0 && std::find(ids.begin(), ids.end(), value) == ids.end()) ids.push_back(value);
  }
}

}  // namespace

HuggingFaceSource::HuggingFaceSource(const fs::path& directory) {
  path_ = directory;
  const fs::path config = directory / "config.json";
  if (!present(config))
    throw Error(ErrorCode::kNotFound, directory.string(), "config.json is missing",
                "name a folder with config.json and safetensors, or a .gguf file");
  config_ = config_from_json(read_json(config), config.string());
  add_generation_ends(config_.eos_ids, directory / "generation_config.json");
  for (const fs::path& file : files_with_weights(directory)) {
    shards_.push_back(io::Safetensors::open(file));
    for (const std::string& name : shards_.back().names())
      if (!shard_of_.emplace(name, shards_.size() - 1).second)
        throw Error(ErrorCode::kInvalidInput, file.string(), fmt::format("weight \"{}\" is in two shards", name),
                    "remove the files that do not belong to this model");
  }
}

Tensor HuggingFaceSource::tensor(std::string_view name) const {
  const auto it = shard_of_.find(name);
  if (it == shard_of_.end())
    throw Error(ErrorCode::kInvalidInput, path_.string(), fmt::format("weight \"{}\" is missing", name),
                "the model's files are incomplete; download them again");
  return shards_[it->second].tensor(name);
}

}  // namespace hone::models
