// Architectures that benchmarks know by name.
#pragma once

#include <string>
#include <vector>

#include "models/config.h"

namespace hone::recipes {

/// smollm2-135m, r1-qwen-1.5b … in the order `hone bench` lists them.
std::vector<std::string> bench_shape_names();

/// The architecture of a named shape, or of a Hugging Face config.json (a path that ends in .json, or its folder). Throws
/// Error{kInvalidInput} with the nearest name, Error{kNotFound} for a file that is not there.
models::ModelConfig bench_shape(const std::string& name_or_path);

}  // namespace hone::recipes
