#include "models/source.h"

#include "models/names.h"
#include "models/source_gguf.h"
#include "models/source_hf.h"
#include "models/weights.h"

namespace hone::models {
namespace {

// The tensor as its file names it.
std::string name_in_file(const ModelSource& source, const std::string& weight) {
  if (!source.gguf()) return weight;
  if (const auto expert = gguf_expert_stack(weight)) return expert->tensor;
  return gguf_name(weight).value_or(weight);
}

}  // namespace

std::string stored_name(const ModelSource& source, const std::string& weight) {
  const bool tied = weight == "lm_head.weight" && source.config().tied_head && !source.has(weight);
  return tied ? "model.embed_tokens.weight" : weight;
}

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
    if (tensor.dtype() == DType::kI32)
      throw Error(ErrorCode::kUnsupported, where,
                  fmt::format("weight \"{}\" holds whole numbers ({}), which hone does not compute with", name_in_file(source, weight.name), name(tensor.dtype())),
                  "convert the model again, as F32, F16, BF16 or in a block format");
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
