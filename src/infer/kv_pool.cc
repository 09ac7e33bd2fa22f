#include "infer/kv_pool.h"

#include <sys/mman.h>

#include "base/error.h"

namespace hone::infer {

KvLayout KvLayout::of(const models::ModelConfig& c, DType type) {
  if (c.mla) return {c.layers, c.heads, c.mla->qk_nope_head_dim + c.mla->qk_rope_head_dim, c.mla->v_head_dim, type};
  return {c.layers, c.kv_heads, c.head_dim, c.head_dim, type};
}

KvPool::KvPool(const KvLayout& layout, int64_t max_pages) : layout_(layout), max_pages_(max_pages) {
  const size_t bytes = layout_.page_bytes();
  HONE_CHECK(max_pages > 0 && bytes > 0 && static_cast<size_t>(max_pages) < (size_t{1} << 46) / bytes, "{} pages of {} bytes", max_pages, bytes);
  reserved_ = static_cast<size_t>(max_pages) * bytes;
  void* at = ::mmap(nullptr, reserved_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    throw Error(ErrorCode::kOutOfMemory, "key/value cache", fmt::format("the system gives no {} MiB for {} pages", reserved_ >> 20, max_pages), "a smaller context or cache takes less");
  base_ = static_cast<std::byte*>(at);
  ::madvise(base_, reserved_, MADV_HUGEPAGE);
}

KvPool::~KvPool() { ::munmap(base_, reserved_); }

std::string KvPool::key_of(const Page* before, std::span<const int32_t> ids, uint64_t salt) {
  const uint64_t head[2] = {before ? before->serial : 0, salt};
  std::string key(reinterpret_cast<const char*>(head), sizeof head);
  key.append(reinterpret_cast<const char*>(ids.data()), ids.size_bytes());
  return key;
}

KvPool::Page* KvPool::take() {
  Page* page = nullptr;
  if (!free_.empty()) {
    page = free_.back();
    free_.pop_back();
  } else if (static_cast<int64_t>(pages_.size()) < max_pages_) {
    auto fresh = std::make_unique<Page>();
    fresh->data = base_ + pages_.size() * layout_.page_bytes();
    page = fresh.get();
    pages_.push_back(std::move(fresh));
  } else if (!idle_.empty()) {
    page = idle_.front();
    idle_.pop_front();
    remembered_.erase(page->key);
    page->key.clear();
  } else {
    return nullptr;
  }
  page->users = 1;
  page->serial = next_serial_++;
  return page;
}

void KvPool::release(Page* page) {
  if (--page->users > 0) return;
  if (page->key.empty()) free_.push_back(page);
  else page->idle = idle_.insert(idle_.end(), page);
}

KvPool::Page* KvPool::find(const Page* before, std::span<const int32_t> ids, uint64_t salt) {
  const auto it = remembered_.find(key_of(before, ids, salt));
  if (it == remembered_.end()) return nullptr;
  Page* page = it->second;
  if (page->users++ == 0) idle_.erase(page->idle);
  return page;
}

KvPool::Page* KvPool::remember(Page* page, const Page* before, std::span<const int32_t> ids, uint64_t salt) {
  if (Page* known = find(before, ids, salt)) {
    release(page);
    return known;
  }
  page->key = key_of(before, ids, salt);
  remembered_.emplace(page->key, page);
  return page;
}

}  // namespace hone::infer
