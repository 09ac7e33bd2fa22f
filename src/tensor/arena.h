// One range of addresses that tensors are cut from: first fit by address, neighbours joined when freed.
#pragma once

#include <cstddef>
#include <map>

namespace hone {

/// A training step allocates like a stack (forward) that is taken down again (backward), with temporaries between. Lowest address
/// first keeps such a pattern dense whatever the steps' lengths are, so the memory touched is close to the peak in use; recycling
/// blocks by size was not: steps of other lengths left it a third larger. Not thread-safe.
class Arena {
 public:
  /// Reserves addresses, not memory. A range that the system refuses leaves an arena that is always full.
  explicit Arena(size_t reserve);

  /// Null when the range is full. `bytes` is rounded up to whole kAlignment.
  void* allocate(size_t bytes);
  void free(void* block, size_t bytes);
  bool owns(const void* block) const { return block >= base_ && block < base_ + reserved_; }
  /// Bytes between the range's start and the highest address ever in use; give_back lowers it.
  size_t touched() const { return touched_; }
  /// Returns the pages of free blocks to the system.
  void give_back();

  static constexpr size_t kAlignment = 64;

 private:
  std::byte* base_ = nullptr;
  size_t reserved_ = 0, top_ = 0, touched_ = 0;
  std::map<size_t, size_t> free_;  // offset → bytes, below top_
};

}  // namespace hone
