// The processor's own limit: multiply-adds that touch registers alone.
#pragma once

#include "base/cpu_features.h"
#include "base/thread_pool.h"

namespace hone::kernels {

/// Best GFLOP/s of all threads of `pool` at f32 multiply-adds, or at bf16 pairs where `pairs` and the level has them. Two
/// operations per multiply-add. 0 when the level has no such instruction.
double peak_gflops(Isa isa, bool pairs, ThreadPool& pool);

}  // namespace hone::kernels
