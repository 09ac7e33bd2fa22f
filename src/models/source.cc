#include "models/source.h"

#include "models/source_gguf.h"
#include "models/source_hf.h"
#include "models/weights.h"

namespace hone::models {

void check_weights(const ModelSource& source) {
  const std::string where = source.path().string();
  each_weight(source.config(), [&](const Weight& weight) {
    const bool found = source.has(weight.name);
    if (weight.presence == Presence::kForbidden && found)
      throw Error(ErrorCode::kInvalidInput, where, fmt::format("weight \"{}\" has no place in this architecture", weight.name),
                  "the weights and the architecture do not belong together");
    if (weight.presence == Presence::kRequired && !found)
      throw Error(ErrorCode::kInvalidInput, where, fmt::format("weight \"{}\" {} is missing", weight.name, weight.shape.str()),
                  "the model's files are incomplete; download them again");
    if (!found) return;
    const Tensor tensor = source.tensor(weight.name);
    if (tensor.shape() != weight.shape)
      throw Error(ErrorCode::kInvalidInput, where,
                  fmt::format("weight \"{}\": expected {}, found {}", weight.name, weight.shape.str(), tensor.shape().str()),
                  "the weights and the architecture do not belong together");
  });
}

std::shared_ptr<const ModelSource> ModelSource::open(const std::filesystem::path& path) {
  std::error_code ignored;
  std::shared_ptr<const ModelSource> source;
  if (std::filesystem::is_directory(path, ignored))
    source = std::make_shared<HuggingFaceSource>(path);
  else
    source = std::make_shared<GgufSource>(path);
  check_weights(*source);
  return source;
}

}  // namespace hone::models
