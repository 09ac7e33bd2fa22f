// The recycling allocator: freed blocks are kept by size class, so that steps of one length allocate nothing after the first.
// Steps of other lengths need other classes: what is kept never makes the whole larger than the peak of what was in use (plus
// an eighth); beyond it, kept blocks go back to the heap, which joins and splits them.

#include <malloc.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "tensor/tensor.h"

namespace hone {
namespace {

constexpr size_t kAlignment = 64;

// Eight classes per doubling: at most 12.5 % of a block is slack.
size_t size_class(size_t bytes) {
  if (bytes <= 256) return 256;
  const size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

struct Pool {
  std::mutex lock;
  std::map<size_t, std::vector<void*>> free_blocks;
  MemoryUse use{};

  // Large blocks come from the heap and stay in it: giving pages back between steps would fault them in again.
  Pool() {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
  }

  // A kept block of `capacity` or little more, or null; sets `capacity` to its size.
  void* take(size_t& capacity) {
    for (auto at = free_blocks.lower_bound(capacity); at != free_blocks.end() && at->first <= capacity + capacity / 4; ++at) {
      if (at->second.empty()) continue;
      void* block = at->second.back();
      at->second.pop_back();
      capacity = at->first;
      use.cached -= capacity;
      return block;
    }
    return nullptr;
  }

  // Gives kept blocks back, largest first, until `capacity` more fit below the limit.
  void make_room(size_t capacity) {
    const size_t peak = std::max(use.peak, use.in_use + capacity), limit = peak + peak / 8;
    for (auto at = free_blocks.rbegin(); at != free_blocks.rend() && use.in_use + use.cached + capacity > limit; ++at)
      for (; !at->second.empty() && use.in_use + use.cached + capacity > limit; at->second.pop_back()) {
        std::free(at->second.back());
        use.cached -= at->first;
      }
  }

  static Pool& instance() {
    static Pool* pool = new Pool;  // never destroyed: tensors with static lifetime may outlive it otherwise
    return *pool;
  }
};

}  // namespace

std::shared_ptr<Storage> Storage::allocate(size_t bytes) {
  std::shared_ptr<Storage> storage(new Storage);
  if (bytes > SIZE_MAX / 2) throw Error(ErrorCode::kOutOfMemory, "tensor", fmt::format("{} bytes requested", bytes));
  size_t capacity = size_class(bytes);
  Pool& pool = Pool::instance();
  std::lock_guard guard(pool.lock);
  void* block = pool.take(capacity);
  if (!block) {
    pool.make_room(capacity);
    block = std::aligned_alloc(kAlignment, (capacity + kAlignment - 1) / kAlignment * kAlignment);
    if (!block)
      throw Error(ErrorCode::kOutOfMemory, "tensor", fmt::format("the system has no {} more bytes", capacity),
                  "use a smaller batch, a shorter cut-off length or gradient_checkpointing: true");
  }
  storage->data_ = static_cast<std::byte*>(block);
  storage->bytes_ = bytes;
  storage->capacity_ = capacity;
  pool.use.in_use += capacity;
  if (pool.use.in_use > pool.use.peak) pool.use.peak = pool.use.in_use;
  return storage;
}

std::shared_ptr<Storage> Storage::borrow(const void* data, size_t bytes, std::shared_ptr<const void> owner) {
  std::shared_ptr<Storage> storage(new Storage);
  storage->data_ = static_cast<std::byte*>(const_cast<void*>(data));
  storage->bytes_ = bytes;
  storage->writable_ = false;
  storage->owner_ = std::move(owner);
  return storage;
}

Storage::~Storage() {
  if (!capacity_) return;
  Pool& pool = Pool::instance();
  std::lock_guard guard(pool.lock);
  pool.use.in_use -= capacity_;
  pool.use.cached += capacity_;
  pool.free_blocks[capacity_].push_back(data_);
}

MemoryUse memory_use() {
  Pool& pool = Pool::instance();
  std::lock_guard guard(pool.lock);
  return pool.use;
}

void reset_peak_memory() {
  Pool& pool = Pool::instance();
  std::lock_guard guard(pool.lock);
  pool.use.peak = pool.use.in_use;
}

void release_cached_memory() {
  Pool& pool = Pool::instance();
  std::lock_guard guard(pool.lock);
  for (auto& [capacity, blocks] : pool.free_blocks)
    for (void* block : blocks) std::free(block);
  pool.free_blocks.clear();
  pool.use.cached = 0;
  malloc_trim(0);
}

}  // namespace hone
