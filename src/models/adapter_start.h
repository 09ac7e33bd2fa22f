// Adapters whose training began with a part of the weights (PiSSA, OLoRA), as plain adapters of the base as it is.
#pragma once

#include <filesystem>

#include "io/peft.h"
#include "models/source.h"

namespace hone::models {

/// What was learned since A₀ (R, K) and B₀ (N, R): s·(B·A − B₀·A₀) as one pair of twice the rank with the same scale s.
io::LoraPair since_start(io::LoraPair pair, const Tensor& start_a, const Tensor& start_b, bool rank_stabilized);

/// A PEFT folder as an adapter of `source`. What was saved for a base that lost the start (io::LoraAdapter::start) has the start, found
/// again in the weights of `source`, taken off. Throws Error like io::read_peft, and Error{kInvalidInput} for pairs that do not fit.
io::LoraAdapter read_adapter(const ModelSource& source, const std::filesystem::path& folder);

}  // namespace hone::models
