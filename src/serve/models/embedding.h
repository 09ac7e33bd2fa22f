// One vector for each text.
#pragma once

#include <vector>

#include "serve/models/pool.h"

namespace hone::serve {

/// The mean of the final hidden states (C) of each text's tokens, with length 1, through the model's adapter; computed by its engine
/// together with the answers in progress. Waits for them. Throws Error{kInvalidInput} for an empty or too long text, Error{kBusy} when
/// the queue is full.
std::vector<std::vector<float>> embed(const Resident& model, const std::vector<std::vector<int32_t>>& texts);

/// Keeps the first `dimensions` elements and makes the length 1 again.
void shorten(std::vector<float>& vector, size_t dimensions);

}  // namespace hone::serve
