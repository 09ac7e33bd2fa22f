// The weights of one GGUF file under their canonical names.
#pragma once

#include "models/source.h"

namespace hone::models {

class GgufSource : public ModelSource {
 public:
  explicit GgufSource(const std::filesystem::path& path);
  bool has(std::string_view name) const override;
  Tensor tensor(std::string_view name) const override;
  void drop_pages() const override { gguf_.drop_pages(); }
  void check_unchanged() const override { gguf_.check_unchanged(); }
  std::vector<std::filesystem::path> weight_files() const override { return {path_}; }
  const io::Gguf* gguf() const override { return &gguf_; }

 private:
  void refuse_unknown_tensors() const;
  io::Gguf gguf_;
};

}  // namespace hone::models
