// The weights of a Hugging Face directory: config.json and safetensors, in one file or sharded.
#pragma once

#include "io/safetensors.h"
#include "models/source.h"

namespace hone::models {

class HuggingFaceSource : public ModelSource {
 public:
  /// Reads config.json, generation_config.json's end tokens when there is one, and every shard's header. Throws Error
  /// naming the file when a shard is missing, the index is malformed or a weight appears twice.
  explicit HuggingFaceSource(const std::filesystem::path& directory);
  bool has(std::string_view name) const override { return shard_of_.find(name) != shard_of_.end(); }
  Tensor tensor(std::string_view name) const override;
  void check_unchanged() const override {
    for (const io::Safetensors& shard : shards_) shard.check_unchanged();
  }
  void drop_pages() const override {
    for (const io::Safetensors& shard : shards_) shard.drop_pages();
  }
  std::vector<std::filesystem::path> weight_files() const override {
    std::vector<std::filesystem::path> files;
    for (const io::Safetensors& shard : shards_) files.push_back(shard.path());
    return files;
  }

 private:
  void note_unknown_weights();
  std::vector<io::Safetensors> shards_;
  std::map<std::string, size_t, std::less<>> shard_of_;  // weight → index into shards_
};

}  // namespace hone::models
