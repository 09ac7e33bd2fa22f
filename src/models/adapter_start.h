// Adapters whose training began with a part of the weights (PiSSA, OLoRA), as plain adapters of the base as it is.
#pragma once

#include <filesystem>

#include "io/peft.h"
#include "models/source.h"

namespace hone::models {

/// What was learned since A₀ (R, K) and B₀ (N, R): s·(B·A − B₀·A₀), as one pair of twice the rank and the same scale s.
io::LoraPair since_start(io::LoraPair pair, const Tensor& start_a, const Tensor& start_b, bool rank_stabilized);

/// The adapter's rank and alpha as those of most of such pairs.
void double_rank(io::LoraAdapter& adapter);

/// What was saved for a base that lost the start (io::LoraAdapter::start) as an adapter of `source`: the start is
/// found again in its weights and taken off. Throws Error naming `where`: kInvalidInput for pairs that do not fit,
/// kUnsupported for starts that are not found again.
io::LoraAdapter for_whole_base(io::LoraAdapter adapter, const ModelSource& source, const std::string& where);

/// The same of a PEFT folder. Throws what io::read_peft throws, too.
io::LoraAdapter read_adapter(const ModelSource& source, const std::filesystem::path& folder);

}  // namespace hone::models
