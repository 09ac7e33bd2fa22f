// The architecture written as Hugging Face's config.json.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "models/source.h"

namespace hone::models {

/// config.json for the weights of `source` stored as `weights`: what config_from_json reads back to the same ModelConfig. Throws
/// Error{kUnsupported} naming what transformers' classes cannot express.
nlohmann::ordered_json hugging_face_config(const ModelSource& source, DType weights);

}  // namespace hone::models
