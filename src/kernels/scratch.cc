#include "kernels/scratch.h"

#include <array>
#include <cstdlib>
#include <new>

#include "base/error.h"

namespace hone::kernels {
namespace {

struct Buffers {
  std::array<void*, kScratchSlots> data{};
  std::array<size_t, kScratchSlots> size{};
  ~Buffers() {
    for (void* p : data) std::free(p);
  }
};

}  // namespace

void* scratch(int slot, size_t bytes) {
  thread_local Buffers buffers;
  const auto i = static_cast<size_t>(slot);
  HONE_CHECK(slot >= 0 && slot < kScratchSlots, "slot {}", slot);
  if (buffers.size[i] < bytes) {
    const size_t rounded = (bytes + bytes / 4 + 4095) / 4096 * 4096;
    std::free(buffers.data[i]);
    buffers.size[i] = 0;
    buffers.data[i] = std::aligned_alloc(64, rounded);
    if (!buffers.data[i]) throw std::bad_alloc();
    buffers.size[i] = rounded;
  }
  return buffers.data[i];
}

}  // namespace hone::kernels
