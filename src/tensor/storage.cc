// Where tensors live: small ones on the heap, the others in one arena for the whole process.

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>

#include "tensor/arena.h"
#include "tensor/tensor.h"

namespace hone {
namespace {

constexpr size_t kSmall = 32 << 10;  // long-lived trifles between the large blocks would keep them from joining

struct Pool {
  std::mutex lock;
  Arena arena{arena_size()};
  MemoryUse use{};

  // More addresses than the machine has memory: the arena is full when the system is.
  static size_t arena_size() {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? 4 * static_cast<size_t>(pages) * static_cast<size_t>(page) : size_t{64} << 30;
  }

  static Pool& instance() {
    static Pool* pool = new Pool;  // never destroyed: tensors with static lifetime may outlive it otherwise
    return *pool;
  }
};

}  // namespace

size_t Storage::block_bytes(size_t bytes) { return (std::max<size_t>(bytes, 1) + Arena::kAlignment - 1) / Arena::kAlignment * Arena::kAlignment; }

std::shared_ptr<Storage> Storage::allocate(size_t bytes) {
  std::shared_ptr<Storage> storage(new Storage);
  if (bytes > SIZE_MAX / 2) throw Error(ErrorCode::kOutOfMemory, "tensor", fmt::format("{} bytes requested", bytes));
  const size_t capacity = block_bytes(bytes);
  Pool& pool = Pool::instance();
  std::lock_guard guard(pool.lock);
  void* block = capacity > kSmall ? pool.arena.allocate(capacity) : nullptr;
  if (!block) block = std::aligned_alloc(Arena::kAlignment, capacity);
  if (!block)
    throw Error(ErrorCode::kOutOfMemory, "tensor", fmt::format("the system has no {} more bytes", capacity),
                "use a smaller batch, a shorter cut-off length or gradient_checkpointing: true");
  storage->data_ = static_cast<std::byte*>(block);
  storage->bytes_ = bytes;
  storage->capacity_ = capacity;
  pool.use.in_use += capacity;
  pool.use.peak = std::max(pool.use.peak, pool.use.in_use);
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
  if (pool.arena.owns(data_)) pool.arena.free(data_, capacity_);
  else std::free(data_);
}

MemoryUse memory_use() {
  Pool& pool = Pool::instance();
  std::lock_guard guard(pool.lock);
  MemoryUse use = pool.use;
  use.cached = pool.arena.touched() > use.in_use ? pool.arena.touched() - use.in_use : 0;
  return use;
}

void reset_peak_memory() {
  Pool& pool = Pool::instance();
  std::lock_guard guard(pool.lock);
  pool.use.peak = pool.use.in_use;
}

void release_cached_memory() {
  Pool& pool = Pool::instance();
  std::lock_guard guard(pool.lock);
  pool.arena.give_back();
}

}  // namespace hone
