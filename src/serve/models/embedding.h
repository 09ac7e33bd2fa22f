// One vector for a text.
#pragma once

#include <vector>

#include "serve/models/pool.h"

namespace hone::serve {

/// The final hidden state (C) of the last of `ids`, with length 1: a decoder's last position is the only one that has seen the
/// whole text. Computes on the calling thread, one text at a time. Throws Error{kInvalidInput} for an empty or too long one.
std::vector<float> embed(const Resident& model, const std::vector<int32_t>& ids);

/// Keeps the first `dimensions` elements and makes the length 1 again.
void shorten(std::vector<float>& vector, size_t dimensions);

}  // namespace hone::serve
