#include "serve/models/json_filter.h"

#include <algorithm>
#include <limits>

namespace hone::serve {

TokenTable::TokenTable(const text::Tokenizer& tokenizer) {
  const auto size = static_cast<size_t>(tokenizer.vocab_size());
  bytes.resize(size);
  plain.resize(size);
  for (size_t i = 0; i < size; ++i) {
    const auto id = static_cast<int32_t>(i);
    if (tokenizer.is_special(id)) continue;
    bytes[i] = tokenizer.token_bytes(id);
    if (bytes[i].empty()) continue;
    plain[i] = std::all_of(bytes[i].begin(), bytes[i].end(), [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; });
    by_first_byte[static_cast<unsigned char>(bytes[i][0])].push_back({id, 1});
  }
  const auto text = [&](const Entry& entry) -> const std::string& { return bytes[static_cast<size_t>(entry.id)]; };
  for (auto& entries : by_first_byte) {
    std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) { return text(a) < text(b); });
    for (size_t i = 1; i < entries.size(); ++i) {
      const std::string &before = text(entries[i - 1]), &now = text(entries[i]);
      entries[i].shared = static_cast<uint32_t>(std::mismatch(before.begin(), before.end(), now.begin(), now.end()).first - before.begin());
    }
  }
}

JsonFilter::JsonFilter(std::shared_ptr<const TokenTable> table, std::shared_ptr<const Schema> schema, std::vector<int32_t> stop_ids)
    : table_(std::move(table)), schema_(std::move(schema)), stop_ids_(std::move(stop_ids)), reader_(schema_->root()) {}

void JsonFilter::apply(std::span<float> logits) {
  allowed_.assign(logits.size(), 0);
  const bool free = reader_.in_free_string();
  for (size_t first = 0; first < 256; ++first) {
    const auto& entries = table_->by_first_byte[first];
    if (entries.empty()) continue;
    // Readers after each byte of the token read last. The next one begins where it differs: each prefix is read once.
    std::vector<JsonReader> path = {reader_};
    if (!path.back().push(static_cast<unsigned char>(first))) continue;
    bool fits = true;
    size_t shared = 1;  // of the token read last and this one
    for (const TokenTable::Entry& entry : entries) {
      const auto id = static_cast<size_t>(entry.id);
      shared = std::min<size_t>(shared, entry.shared);
      if (id >= logits.size()) continue;
      if (free && table_->plain[id]) {
        allowed_[id] = 1;
        continue;
      }
      if (!fits && shared > path.size()) continue;  // it begins with what was refused
      const std::string& bytes = table_->bytes[id];
      path.erase(path.begin() + static_cast<std::ptrdiff_t>(std::min(path.size(), shared)), path.end());
      fits = true;
      for (size_t i = path.size(); fits && i < bytes.size(); ++i) {
        JsonReader reader = path.back();
        fits = reader.push(static_cast<unsigned char>(bytes[i]));
        if (fits) path.push_back(std::move(reader));
      }
      allowed_[id] = fits;
      shared = SIZE_MAX;
    }
  }
  const bool stuck = std::none_of(allowed_.begin(), allowed_.end(), [](uint8_t a) { return a != 0; });
  if (reader_.complete() || stuck)
    for (const int32_t id : stop_ids_)
      if (id >= 0 && static_cast<size_t>(id) < logits.size()) allowed_[static_cast<size_t>(id)] = 1;
  for (size_t i = 0; i < logits.size(); ++i)
    if (!allowed_[i]) logits[i] = -std::numeric_limits<float>::infinity();
}

void JsonFilter::accept(int32_t id) {
  if (id < 0 || static_cast<size_t>(id) >= table_->bytes.size()) return;
  for (const char c : table_->bytes[static_cast<size_t>(id)]) reader_.push(static_cast<unsigned char>(c));
}

}  // namespace hone::serve
