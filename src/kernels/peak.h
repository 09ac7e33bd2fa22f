// The processor's own limit: multiply-adds that touch registers alone.
#pragma once

#include "base/cpu_features.h"
#include "base/thread_pool.h"
#include "kernels/table.h"

namespace hone::kernels {

/// Best GFLOP/s (int8: GOP/s) of all threads of `pool` at multiply-adds of one precision. Two operations per multiply-add.
/// 0 when the level has no such instruction.
double peak_gflops(Isa isa, Precision precision, ThreadPool& pool);

}  // namespace hone::kernels
