// Working memory of kernels: one growing, 64-byte aligned buffer per thread and slot, kept between calls.
#pragma once

#include <cstddef>

namespace hone::kernels {

inline constexpr int kScratchSlots = 12;

/// At least `bytes` bytes; the content is what the last user of the slot on this thread left.
void* scratch(int slot, size_t bytes);

}  // namespace hone::kernels
