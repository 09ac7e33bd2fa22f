// A table of kernels that records time, arithmetic and traffic of every call (base/profile.h).
#pragma once

#include "kernels/table.h"

namespace hone::kernels {

/// Forwards to `inner`. Kernels whose cost is not described in profile.cc are forwarded without being timed on their own.
const KernelTable& profiled(const KernelTable& inner);

}  // namespace hone::kernels
