// Vectors of texts.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "serve/models/pool.h"

namespace hone::serve {

using Vectors = std::vector<std::vector<float>>;

/// The embedding of each text: the mean of its tokens' last hidden states, of length 1 (C). Waits for nothing: `done` is called once, on
/// this thread or the engine's, with the vectors or with the error that ended the work. `gone` is asked now and then: true ends it.
/// Throws Error{kInvalidInput} for a text without tokens, or longer than the context.
void embed(std::shared_ptr<ModelPool::Lease> lease, std::vector<std::vector<int32_t>> texts, std::function<bool()> gone, std::function<void(Vectors, const std::optional<Error>&)> done);

/// The first `dimensions` of a vector, made of length 1 again.
void shorten(std::vector<float>& vector, size_t dimensions);

}  // namespace hone::serve
