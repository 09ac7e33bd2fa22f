#include "tensor/arena.h"

#include <sys/mman.h>

#include <algorithm>

namespace hone {
namespace {

constexpr size_t kPage = 4096, kHugePage = size_t{2} << 20;

size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

Arena::Arena(size_t reserve) {
  void* range = mmap(nullptr, reserve + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) return;
  const auto address = reinterpret_cast<size_t>(range), aligned = rounded(address, kHugePage);
  base_ = static_cast<std::byte*>(range) + (aligned - address);
  reserved_ = reserve;
  madvise(base_, reserved_, MADV_HUGEPAGE);  // a wish: fewer faults and address translations where the system grants it
}

void* Arena::allocate(size_t bytes) {
  bytes = rounded(std::max<size_t>(bytes, 1), kAlignment);
  for (auto at = free_.begin(); at != free_.end(); ++at) {
    const auto [offset, size] = *at;
    if (size < bytes) continue;
    free_.erase(at);
    if (size > bytes) free_.emplace(offset + bytes, size - bytes);
    return base_ + offset;
  }
  if (bytes > reserved_ - top_) return nullptr;
  const size_t offset = top_;
  top_ += bytes;
  touched_ = std::max(touched_, top_);
  return base_ + offset;
}

void Arena::free(void* block, size_t bytes) {
  bytes = rounded(std::max<size_t>(bytes, 1), kAlignment);
  auto offset = static_cast<size_t>(static_cast<std::byte*>(block) - base_);
  const auto next = free_.lower_bound(offset);
  if (next != free_.end() && next->first == offset + bytes) {
    bytes += next->second;
    free_.erase(next);
  }
  const auto after = free_.lower_bound(offset);
  if (after != free_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == offset) {
      offset = before->first;
      bytes += before->second;
      free_.erase(before);
    }
  }
  if (offset + bytes == top_) top_ = offset;
  else free_.emplace(offset, bytes);
}

void Arena::give_back() {
  const auto drop = [&](size_t begin, size_t end) {
    begin = rounded(begin, kPage);
    end = end / kPage * kPage;
    if (begin < end) madvise(base_ + begin, end - begin, MADV_DONTNEED);
  };
  for (const auto& [offset, size] : free_) drop(offset, offset + size);
  drop(top_, rounded(touched_, kPage));
  touched_ = top_;
}

}  // namespace hone
