#include "infer/batch_cache.h"

#include <cstring>

namespace hone::infer {
namespace {

constexpr int64_t kPage = kernels::kPageTokens;

// Token t of a page ↔ one row of keys (G·D) and of values (G·Dv). Element is uint16_t or uint32_t.
template <class Element>
void put_token(const KvLayout& l, std::byte* page, int64_t t, const void* k, const void* v) {
  auto* to = reinterpret_cast<Element*>(page);
  const auto* key = static_cast<const Element*>(k);
  for (int64_t i = 0; i < l.kv_heads * l.key_dim; ++i) to[i * kPage + t] = key[i];
  to += l.kv_heads * l.key_dim * kPage + t * l.value_dim;
  const auto* value = static_cast<const Element*>(v);
  for (int64_t g = 0; g < l.kv_heads; ++g) std::memcpy(to + g * kPage * l.value_dim, value + g * l.value_dim, static_cast<size_t>(l.value_dim) * sizeof(Element));
}

template <class Element>
void get_tokens(const KvLayout& l, const std::byte* page, int64_t count, void* k, void* v) {
  const auto* from = reinterpret_cast<const Element*>(page);
  auto* key = static_cast<Element*>(k);
  const int64_t keys = l.kv_heads * l.key_dim, values = l.kv_heads * l.value_dim;
  for (int64_t i = 0; i < keys; ++i)
    for (int64_t t = 0; t < count; ++t) key[t * keys + i] = from[i * kPage + t];
  from += keys * kPage;
  auto* value = static_cast<Element*>(v);
  for (int64_t t = 0; t < count; ++t)
    for (int64_t g = 0; g < l.kv_heads; ++g)
      std::memcpy(value + t * values + g * l.value_dim, from + (g * kPage + t) * l.value_dim, static_cast<size_t>(l.value_dim) * sizeof(Element));
}

}  // namespace

BatchCache::BatchCache(const KvLayout& layout, std::vector<Part> parts, bool one_by_one) : layout_(layout), parts_(std::move(parts)), one_by_one_(one_by_one) {
  std::vector<int32_t> ends{0}, tokens, begin{0};
  for (const Part& part : parts_) {
    const int64_t all = part.past + part.count, pages = (all + kPage - 1) / kPage;
    HONE_CHECK(pages <= static_cast<int64_t>(part.pages->size()) && (!one_by_one || part.count == 1), "{} pages for {} tokens", part.pages->size(), all);
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
  int64_t row = 0;
  for (const Part& part : parts_)
    for (int64_t i = 0; i < part.count; ++i, ++row) {
      const int64_t at = part.past + i;
      std::byte* page = (*part.pages)[static_cast<size_t>(at / kPage)]->data + offset;
      const auto put = layout_.type == DType::kF32 ? put_token<uint32_t> : put_token<uint16_t>;
      put(layout_, page, at % kPage, k.rows(row, row + 1).raw(), v.rows(row, row + 1).raw());
    }
}

std::pair<Tensor, Tensor> BatchCache::gather(int64_t layer) const {
  const int64_t all = key_segments_.data<int32_t>()[parts_.size()];
  Tensor k = Tensor::empty({all, layout_.kv_heads * layout_.key_dim}, layout_.type), v = Tensor::empty({all, layout_.kv_heads * layout_.value_dim}, layout_.type);
  const auto get = layout_.type == DType::kF32 ? get_tokens<uint32_t> : get_tokens<uint16_t>;
  const size_t offset = static_cast<size_t>(layer) * layout_.layer_bytes();
  int64_t row = 0;
  for (const Part& part : parts_)
    for (int64_t t = 0; t < part.past + part.count; t += kPage) {
      const int64_t n = std::min(kPage, part.past + part.count - t);
      get(layout_, (*part.pages)[static_cast<size_t>(t / kPage)]->data + offset, n, k.rows(row, row + n).raw_mutable(), v.rows(row, row + n).raw_mutable());
      row += n;
    }
  return {k, v};
}

Tensor BatchCache::attend(int64_t layer, const Tensor& q, const Tensor& k, const Tensor& v, const ops::AttentionHeads& heads, const nn::Sequence& sequence) {
  store(layer, k, v);
  if (one_by_one_) {
    std::vector<const void*> pages;
    for (const std::byte* page : page_data_) pages.push_back(page + static_cast<size_t>(layer) * layout_.layer_bytes());
    return ops::cached_attention(q, heads, layout_.value_dim, tokens_, page_begin_, pages);
  }
  bool fresh = true;
  for (const Part& part : parts_) fresh = fresh && part.past == 0;
  const auto [keys, values] = fresh ? std::pair{k, v} : gather(layer);
  return ops::attention(ops::Variable(q), ops::Variable(keys), ops::Variable(values), heads, sequence.segments, key_segments_).value();
}

}  // namespace hone::infer
