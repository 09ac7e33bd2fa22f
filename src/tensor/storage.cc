// The recycling allocator: freed blocks are kept by size class, so a training step allocates nothing once the first step
// has run. Steps of different lengths would each leave their own sizes behind; so a block may serve a request up to a third
// smaller, and what is held never exceeds what was once in use at the same time.

#include <sys/mman.h>

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

// Large blocks are mapped one by one, so that freeing one gives its pages back whatever lies around it.
constexpr size_t kMappedFrom = 1 << 20;

void* take(size_t capacity) {
  if (capacity < kMappedFrom) return std::aligned_alloc(kAlignment, (capacity + kAlignment - 1) / kAlignment * kAlignment);
  void* block = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return block == MAP_FAILED ? nullptr : block;
}

void give_back(void* block, size_t capacity) {
  if (capacity < kMappedFrom) std::free(block);
  else ::munmap(block, capacity);
}

struct Pool {
  std::mutex lock;
  std::map<size_t, std::vector<void*>> free_blocks;
  MemoryUse use{};

  // A cached block for `capacity` bytes: the smallest that fits, unless more than a third of it would lie idle.
  void* reuse(size_t& capacity) {
    for (auto it = free_blocks.lower_bound(capacity); it != free_blocks.end() && it->first - capacity <= it->first / 3; ++it) {
      if (it->second.empty()) continue;
      void* block = it->second.back();
      it->second.pop_back();
      capacity = it->first;
      use.cached -= capacity;
      return block;
    }
    return nullptr;
  }

  // Makes room for a new block: the largest idle ones go until the total stays within the highest use so far.
  void trim(size_t capacity) {
    const size_t allowed = std::max(use.peak, use.in_use + capacity);
    for (auto it = free_blocks.end(); it != free_blocks.begin() && use.in_use + use.cached + capacity > allowed;) {
      --it;
      while (!it->second.empty() && use.in_use + use.cached + capacity > allowed) {
        give_back(it->second.back(), it->first);
        it->second.pop_back();
        use.cached -= it->first;
      }
    }
  }

  static Pool& instance() {
    static Pool* pool = new Pool;  // never destroyed: tensors with static lifetime may outlive it otherwise
    return *pool;
  }
};

}  // namespace

size_t Storage::block_bytes(size_t bytes) { return size_class(bytes); }

std::shared_ptr<Storage> Storage::allocate(size_t bytes) {
  std::shared_ptr<Storage> storage(new Storage);
  if (bytes > SIZE_MAX / 2) throw Error(ErrorCode::kOutOfMemory, "tensor", fmt::format("{} bytes requested", bytes));
  size_t capacity = size_class(bytes);
  Pool& pool = Pool::instance();
  std::lock_guard guard(pool.lock);
  void* block = pool.reuse(capacity);
  if (!block) {
    pool.trim(capacity);
    block = take(capacity);
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
    for (void* block : blocks) give_back(block, capacity);
  pool.free_blocks.clear();
  pool.use.cached = 0;
}

}  // namespace hone
