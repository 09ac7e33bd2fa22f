#include "text/bpe.h"

#include <algorithm>
#include <queue>

#include "text/unicode.h"

namespace hone::text {

std::vector<TokenSpan> Bpe::initial_symbols(std::string_view piece) const {
  std::vector<TokenSpan> symbols;
  auto add_bytes = [&](size_t at, size_t n) {
    for (size_t i = at; i < at + n; ++i) {
      const int32_t id = byte_token[static_cast<uint8_t>(piece[i])];
      if (id >= 0) symbols.push_back({id, static_cast<int32_t>(i), static_cast<int32_t>(i + 1)});
      else if (unknown >= 0) symbols.push_back({unknown, static_cast<int32_t>(i), static_cast<int32_t>(i + 1)});
    }
  };
  if (byte_level) {
    add_bytes(0, piece.size());
    return symbols;
  }
  for (size_t at = 0; at < piece.size();) {
    const size_t n = std::max<size_t>(1, utf8_length(piece.substr(at)));
    const auto it = vocabulary.find(piece.substr(at, n));
    if (it != vocabulary.end()) {
      symbols.push_back({it->second, static_cast<int32_t>(at), static_cast<int32_t>(at + n)});
    } else if (byte_fallback) {
      add_bytes(at, n);
    } else if (unknown >= 0) {
      if (fuse_unknown && !symbols.empty() && symbols.back().id == unknown) symbols.back().end = static_cast<int32_t>(at + n);
      else symbols.push_back({unknown, static_cast<int32_t>(at), static_cast<int32_t>(at + n)});
    }
    at += n;
  }
  return symbols;
}

void Bpe::merge(std::string_view piece, std::vector<TokenSpan>& out) const {
  std::vector<TokenSpan> symbols = initial_symbols(piece);
  const auto count = static_cast<int32_t>(symbols.size());
  std::vector<int32_t> next(symbols.size()), previous(symbols.size());
  struct Candidate {
    int32_t rank, left, right, left_id, right_id, id;
    bool operator<(const Candidate& other) const {  // the queue's top is the lowest rank, then the leftmost
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  std::priority_queue<Candidate> queue;
  auto consider = [&](int32_t left, int32_t right) {
    const auto it = merges.find(pair(symbols[static_cast<size_t>(left)].id, symbols[static_cast<size_t>(right)].id));
    if (it != merges.end())
      queue.push({it->second.rank, left, right, symbols[static_cast<size_t>(left)].id, symbols[static_cast<size_t>(right)].id, it->second.id});
  };
  for (int32_t i = 0; i < count; ++i) {
    next[static_cast<size_t>(i)] = i + 1 < count ? i + 1 : -1;
    previous[static_cast<size_t>(i)] = i - 1;
    if (i + 1 < count) consider(i, i + 1);
  }
  while (!queue.empty()) {
    const Candidate c = queue.top();
    queue.pop();
    TokenSpan& left = symbols[static_cast<size_t>(c.left)];
    TokenSpan& right = symbols[static_cast<size_t>(c.right)];
    if (left.id != c.left_id || right.id != c.right_id || next[static_cast<size_t>(c.left)] != c.right) continue;  // outdated
    left.id = c.id;
    left.end = right.end;
    right.id = -1;
    const int32_t after = next[static_cast<size_t>(c.right)], before = previous[static_cast<size_t>(c.left)];
    next[static_cast<size_t>(c.left)] = after;
    if (after >= 0) {
      previous[static_cast<size_t>(after)] = c.left;
      consider(c.left, after);
    }
    if (before >= 0) consider(before, c.left);
  }
  for (int32_t i = count ? 0 : -1; i >= 0; i = next[static_cast<size_t>(i)]) out.push_back(symbols[static_cast<size_t>(i)]);
}

void Bpe::encode(std::string_view piece, int32_t offset, std::vector<TokenSpan>& out) const {
  if (piece.empty()) return;
  if (ignore_merges) {
    if (const auto it = vocabulary.find(piece); it != vocabulary.end()) {
      out.push_back({it->second, offset, offset + static_cast<int32_t>(piece.size())});
      return;
    }
  }
  auto append = [&](const std::vector<TokenSpan>& tokens) {
    for (const TokenSpan& t : tokens) out.push_back({t.id, t.begin + offset, t.end + offset});
  };
  std::vector<TokenSpan> tokens;
  if (piece.size() > kCachedBytes) {
    merge(piece, tokens);
    append(tokens);
    return;
  }
  Shard& shard = cache_[StringHash{}(piece) % kShards];
  {
    const std::lock_guard guard(shard.lock);
    if (const auto it = shard.entries.find(piece); it != shard.entries.end()) {
      append(it->second);
      return;
    }
  }
  merge(piece, tokens);
  append(tokens);
  const std::lock_guard guard(shard.lock);
  if (shard.entries.size() >= kShardEntries) shard.entries.clear();
  shard.entries.emplace(std::string(piece), std::move(tokens));
}

}  // namespace hone::text
