#include "infer/batch_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "quant/bf16.h"

namespace hone::infer {
namespace {

constexpr int64_t kCachePage = kernels::kPageTokens;

// Token t of a page ↔ one row of keys (G·D) and of values (G·Dv). Calls copy(element of the page, element of the row).
template <DType type, class Held, class Row, class Copy>
void each_element(const KvLayout& l, Held* page, int64_t t, Row* k, Row* v, Copy copy) {
  using kernels::CachePage;
  const int64_t keys = CachePage::key_elements(type, l.key_dim), values = kCachePage * l.value_dim;
  for (int64_t g = 0; g < l.kv_heads; ++g, page += keys)
    for (int64_t d = 0; d < l.key_dim; ++d) copy(page[CachePage::key_at(type, d, t)], k[g * l.key_dim + d]);
  for (int64_t g = 0; g < l.kv_heads; ++g, page += values)
    for (int64_t c = 0; c < l.value_dim; ++c) copy(page[CachePage::value_at(type, l.value_dim, t, c)], v[g * l.value_dim + c]);
}

template <DType type, class Element>
void put_token(const KvLayout& l, std::byte* page, int64_t t, const void* k, const void* v) {
  each_element<type>(l, reinterpret_cast<Element*>(page), t, static_cast<const Element*>(k), static_cast<const Element*>(v), [](Element& held, Element x) { held = x; });
}

template <DType type, class Element>
void get_tokens(const KvLayout& l, const std::byte* page, int64_t count, void* k, void* v) {
  const int64_t keys = l.kv_heads * l.key_dim, values = l.kv_heads * l.value_dim;
  for (int64_t t = 0; t < count; ++t)
    each_element<type>(l, reinterpret_cast<const Element*>(page), t, static_cast<Element*>(k) + t * keys, static_cast<Element*>(v) + t * values, [](Element held, Element& x) { x = held; });
}

// One head's values of one token ↔ bytes `apart` from each other, with a scale per kCacheBlock of them. A block that holds a value
// that is not finite gets the scale NaN, so that it shows in the answer.
template <class Element>
void put_bytes(const Element* from, int64_t n, std::byte* to, int64_t apart, float* scales, int64_t scales_apart) {
  auto* q = reinterpret_cast<int8_t*>(to);
  for (int64_t begin = 0; begin < n; begin += kernels::kCacheBlock, scales += scales_apart) {
    const int64_t end = std::min(n, begin + kernels::kCacheBlock);
    float top = 0;
    bool finite = true;
    for (int64_t i = begin; i < end; ++i) {
      const float x = std::abs(to_float(from[i]));
      finite = finite && std::isfinite(x);
      top = std::max(top, x);
    }
    const float inverse = finite && top > 1e-35f ? 127 / top : 0;
    *scales = finite ? top / 127 : std::numeric_limits<float>::quiet_NaN();
    for (int64_t i = begin; i < end; ++i) q[i * apart] = finite ? static_cast<int8_t>(std::lrintf(to_float(from[i]) * inverse)) : int8_t{0};
  }
}
template <class Element>
void get_bytes(Element* to, int64_t n, const std::byte* from, int64_t apart, const float* scales, int64_t scales_apart) {
  const auto* q = reinterpret_cast<const int8_t*>(from);
  for (int64_t i = 0; i < n; ++i) to[i] = from_float<Element>(static_cast<float>(q[i * apart]) * scales[i / kernels::kCacheBlock * scales_apart]);
}

// Calls part(head, keys, their scales, values, their scales) for token t of a page of bytes; keys and their scales lie kCachePage apart.
template <class Part>
void each_head(const KvLayout& l, std::byte* page, int64_t t, Part part) {
  const kernels::CachePage at = l.page();
  const int64_t key_blocks = kernels::CachePage::blocks(l.key_dim), value_blocks = kernels::CachePage::blocks(l.value_dim);
  auto *key_scales = reinterpret_cast<float*>(page + at.key_scales), *value_scales = reinterpret_cast<float*>(page + at.value_scales);
  for (int64_t g = 0; g < l.kv_heads; ++g)
    part(g, page + g * l.key_dim * kCachePage + t, key_scales + g * key_blocks * kCachePage + t, page + at.values + (g * kCachePage + t) * l.value_dim, value_scales + (g * kCachePage + t) * value_blocks);
}

template <class Element>
void put_token_as_bytes(const KvLayout& l, std::byte* page, int64_t t, const void* k, const void* v) {
  each_head(l, page, t, [&](int64_t g, std::byte* keys, float* key_scales, std::byte* values, float* value_scales) {
    put_bytes(static_cast<const Element*>(k) + g * l.key_dim, l.key_dim, keys, kCachePage, key_scales, kCachePage);
    put_bytes(static_cast<const Element*>(v) + g * l.value_dim, l.value_dim, values, 1, value_scales, 1);
  });
}

template <class Element>
void get_tokens_of_bytes(const KvLayout& l, const std::byte* page, int64_t count, void* k, void* v) {
  for (int64_t t = 0; t < count; ++t)
    each_head(l, const_cast<std::byte*>(page), t, [&](int64_t g, std::byte* keys, float* key_scales, std::byte* values, float* value_scales) {
      get_bytes(static_cast<Element*>(k) + (t * l.kv_heads + g) * l.key_dim, l.key_dim, keys, kCachePage, key_scales, kCachePage);
      get_bytes(static_cast<Element*>(v) + (t * l.kv_heads + g) * l.value_dim, l.value_dim, values, 1, value_scales, 1);
    });
}

}  // namespace

BatchCache::BatchCache(const KvLayout& layout, std::vector<Part> parts, bool one_by_one) : layout_(layout), parts_(std::move(parts)), one_by_one_(one_by_one) {
  std::vector<int32_t> ends{0}, tokens, begin{0};
  if (one_by_one) {
    std::vector<Part> single;
    for (const Part& part : parts_)
      for (int64_t i = 0; i < part.count; ++i) single.push_back({part.pages, part.past + i, 1});
    parts_ = std::move(single);
  }
  for (const Part& part : parts_) {
    const int64_t all = part.past + part.count, pages = (all + kCachePage - 1) / kCachePage;
    HONE_CHECK(pages <= static_cast<int64_t>(part.pages->size()), "{} pages for {} tokens", part.pages->size(), all);
    ends.push_back(ends.back() + static_cast<int32_t>(all));
    tokens.push_back(static_cast<int32_t>(all));
    begin.push_back(begin.back() + static_cast<int32_t>(pages));
    for (int64_t p = 0; p < pages; ++p) page_data_.push_back((*part.pages)[static_cast<size_t>(p)]->data);
  }
  const auto count = static_cast<int64_t>(parts_.size());
  key_segments_ = Tensor::from({count + 1}, std::span<const int32_t>(ends));
  tokens_ = Tensor::from({count}, std::span<const int32_t>(tokens));
  page_begin_ = Tensor::from({count + 1}, std::span<const int32_t>(begin));
}

void BatchCache::store(int64_t layer, const Tensor& k, const Tensor& v) const {
  const size_t offset = static_cast<size_t>(layer) * layout_.layer_bytes();
  const bool wide = k.dtype() == DType::kF32;
  const auto put = layout_.type == DType::kI8 ? wide ? put_token_as_bytes<float> : put_token_as_bytes<BF16> : wide ? put_token<DType::kF32, uint32_t> : put_token<DType::kBF16, uint16_t>;
  const auto keys = static_cast<int64_t>(k.bytes()) / k.size(0), values = static_cast<int64_t>(v.bytes()) / v.size(0);  // of one row
  const auto store_part = [&](int64_t p, int64_t row) {
    const Part& part = parts_[static_cast<size_t>(p)];
    for (int64_t i = 0; i < part.count; ++i, ++row) {
      const int64_t at = part.past + i;
      std::byte* page = (*part.pages)[static_cast<size_t>(at / kCachePage)]->data + offset;
      put(layout_, page, at % kCachePage, k.data<std::byte>() + row * keys, v.data<std::byte>() + row * values);
    }
  };
  const auto count = static_cast<int64_t>(parts_.size());
  if (one_by_one_) {
    ops::threads().ranges(count, 4, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) store_part(p, p);
    });
    return;
  }
  for (int64_t p = 0, row = 0; p < count; row += parts_[static_cast<size_t>(p++)].count) store_part(p, row);
}

std::pair<Tensor, Tensor> BatchCache::gather(int64_t layer, DType type) const {
  const int64_t all = key_segments_.data<int32_t>()[parts_.size()];
  Tensor k = Tensor::empty({all, layout_.kv_heads * layout_.key_dim}, type), v = Tensor::empty({all, layout_.kv_heads * layout_.value_dim}, type);
  const bool wide = type == DType::kF32;
  const auto get = layout_.type == DType::kI8 ? wide ? get_tokens_of_bytes<float> : get_tokens_of_bytes<BF16> : wide ? get_tokens<DType::kF32, uint32_t> : get_tokens<DType::kBF16, uint16_t>;
  const size_t offset = static_cast<size_t>(layer) * layout_.layer_bytes();
  int64_t row = 0;
  for (const Part& part : parts_)
    for (int64_t t = 0; t < part.past + part.count; t += kCachePage) {
      const int64_t n = std::min(kCachePage, part.past + part.count - t);
      get(layout_, (*part.pages)[static_cast<size_t>(t / kCachePage)]->data + offset, n, k.rows(row, row + n).raw_mutable(), v.rows(row, row + n).raw_mutable());
      row += n;
    }
  return {k, v};
}

Tensor BatchCache::attend(int64_t layer, const Tensor& q, const Tensor& k, const Tensor& v, const ops::AttentionHeads& heads, const nn::Sequence& sequence) {
  store(layer, k, v);
  if (one_by_one_) {
    std::vector<const void*> pages;
    for (const std::byte* page : page_data_) pages.push_back(page + static_cast<size_t>(layer) * layout_.layer_bytes());
    return ops::cached_attention(q, heads, layout_.value_dim, layout_.type, tokens_, page_begin_, pages);
  }
  bool fresh = layout_.type != DType::kI8;  // from bytes, always: a prompt that is read in pieces sees what one read at once does
  for (const Part& part : parts_) fresh = fresh && part.past == 0;
  const auto [keys, values] = fresh ? std::pair{k, v} : gather(layer, q.dtype());
  return ops::attention(ops::Variable(q), ops::Variable(keys), ops::Variable(values), heads, sequence.segments, key_segments_).value();
}

}  // namespace hone::infer
