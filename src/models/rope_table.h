// The angles of every position under each scaling rule.
#pragma once

#include "models/config.h"
#include "ops/rope.h"

namespace hone::models {

/// cos and sin (positions, dim / 2) of position · frequency. Scaling: linear (Chen et al. 2023), llama3 (Llama 3.1's
/// wavelength rule), yarn (Peng et al. 2023), whose attention factor multiplies both.
ops::RopeTable rope_table(const ModelConfig& config, int64_t positions);

/// What llama3's rule divides each frequency by (dim / 2), as GGUF's rope_freqs.weight holds it.
std::vector<float> llama3_divisors(const RopeConfig& rope);

/// yarn's temperature: 0.1 · mscale · ln(factor) + 1 for factor > 1, else 1.
double yarn_mscale(double factor, double mscale);

}  // namespace hone::models
