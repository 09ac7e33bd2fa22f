// A model's files behind one face: architecture, and weights by canonical name in the format they are stored in.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.h"
#include "models/generation.h"

namespace hone::models {

class ModelSource {
 public:
  /// A .gguf file, or a folder with config.json and safetensors. Shapes of all weights are checked against the architecture.
  static std::shared_ptr<const ModelSource> open(const std::filesystem::path& path);
  virtual ~ModelSource() = default;

  const std::filesystem::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }
  virtual bool has(std::string_view name) const = 0;
  /// The weight, mapped where the file holds it as it is; throws Error naming the file when it is missing.
  virtual Tensor tensor(std::string_view name) const = 0;
  /// Gives mapped pages back to the system, once their content has been copied elsewhere.
  virtual void drop_pages() const = 0;
  /// Throws Error{kIo} when a weight file was changed since it was opened.
  virtual void check_unchanged() const = 0;
  /// The files that hold the weights.
  virtual std::vector<std::filesystem::path> weight_files() const = 0;
  /// How the files say that answers are to be drawn.
  const Generation& generation() const { return generation_; }
  /// What the user should know: keys and weights that were passed over.
  const std::vector<std::string>& notes() const { return notes_; }
  /// Null unless the model is one GGUF file.
  virtual const io::Gguf* gguf() const { return nullptr; }

 protected:
  std::filesystem::path path_;
  ModelConfig config_;
  Generation generation_;
  std::vector<std::string> notes_;
};

/// The name that a weight has in `source`: a head that is tied is the embedding.
std::string stored_name(const ModelSource& source, const std::string& weight);

/// Throws Error{kInvalidInput} naming the first weight that is missing or has another shape than the architecture wants.
void check_weights(const ModelSource& source);

}  // namespace hone::models
