// Pages of keys and values that all sequences of one model share, and which of them hold prefixes that may be used again.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/table.h"
#include "models/config.h"

namespace hone::infer {

/// What one token takes in every layer.
struct KvLayout {
  int64_t layers = 0, kv_heads = 0, key_dim = 0, value_dim = 0;
  DType type = DType::kBF16;  // of keys and values: that of the activations, or I8 (kernels::CachePage)

  static KvLayout of(const models::ModelConfig& config, DType type);
  kernels::CachePage page() const { return {kv_heads, key_dim, value_dim, type}; }  // of one layer
  size_t layer_bytes() const { return static_cast<size_t>(page().bytes); }
  size_t page_bytes() const { return (layer_bytes() * static_cast<size_t>(layers) + 63) / 64 * 64; }  // whole cache lines
};

/// Not thread-safe: it belongs to the engine's thread. Pages take memory when they are first used and keep it; a full page of prompt
/// tokens can be remembered under the tokens up to its end, and serves every later prompt that begins with them until its memory is
/// needed.
class KvPool {
 public:
  struct Page {
    std::byte* data = nullptr;  // layers × (keys, values), as kernels::CachedAttention wants one layer
    int64_t users = 0;
    uint64_t serial = 0;        // of its content; never used twice
    std::string key;            // under which it is remembered; empty: not
    std::list<Page*>::iterator idle;
  };

  /// Reserves addresses for all pages. Throws Error{kOutOfMemory} when the system refuses even that.
  KvPool(const KvLayout& layout, int64_t max_pages);
  ~KvPool();
  KvPool(const KvPool&) = delete;
  KvPool& operator=(const KvPool&) = delete;

  /// A page for one user; null when every page is in use.
  Page* take();
  void release(Page* page);
  /// The remembered page that continues `before` (null: the beginning) with these kPageTokens tokens, with one more user; or null.
  /// `salt` tells apart what was computed with different adapters.
  Page* find(const Page* before, std::span<const int32_t> ids, uint64_t salt);
  /// Returns the page to go on with: the one that is known by these tokens already, in place of the caller's, or the caller's.
  Page* remember(Page* page, const Page* before, std::span<const int32_t> ids, uint64_t salt);

  const KvLayout& layout() const { return layout_; }
  int64_t max_pages() const { return max_pages_; }
  int64_t used_pages() const { return static_cast<int64_t>(pages_.size() - free_.size() - idle_.size()); }

 private:
  static std::string key_of(const Page* before, std::span<const int32_t> ids, uint64_t salt);
  KvLayout layout_;
  int64_t max_pages_;
  std::byte* base_ = nullptr;  // in large translations where the system grants them: pages are read from end to end at every step
  size_t reserved_ = 0;
  uint64_t next_serial_ = 1;
  std::vector<std::unique_ptr<Page>> pages_;
  std::vector<Page*> free_;
  std::list<Page*> idle_;  // remembered and unused, oldest first
  std::unordered_map<std::string, Page*> remembered_;
};

}  // namespace hone::infer
