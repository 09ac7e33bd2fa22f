#include "infer/kv_pool.h"

namespace hone::infer {

KvLayout KvLayout::of(const models::ModelConfig& c, DType type) {
  if (c.mla) return {c.layers, c.heads, c.mla->qk_nope_head_dim + c.mla->qk_rope_head_dim, c.mla->v_head_dim, type};
  return {c.layers, c.kv_heads, c.head_dim, c.head_dim, type};
}

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
    constexpr size_t kLine = 64;
    auto fresh = std::make_unique<Page>();
    fresh->memory.reset(new std::byte[layout_.page_bytes() + kLine]);
    fresh->data = fresh->memory.get() + (kLine - reinterpret_cast<uintptr_t>(fresh->memory.get()) % kLine) % kLine;
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
