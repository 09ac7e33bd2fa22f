#include "text/bpe.h"

#include <algorithm>
#include <climits>
#include <queue>

#include "text/unicode.h"

namespace hone::text {
namespace {

constexpr size_t kShortSymbols = 48;  // up to here, looking through all pairs for each merge beats a queue

constexpr size_t kShards = 64, kEntriesPerShard = 1024, kCachedBytes = 32, kCachedTokens = 8;

}  // namespace

// Direct-mapped: a piece has one place, and takes it from whatever was there.
struct Bpe::Cache {
  struct Entry {
    uint8_t bytes = 0, tokens = 0;  // 0 bytes: free
    char text[kCachedBytes];
    int32_t ids[kCachedTokens];
    uint8_t ends[kCachedTokens];
  };
  struct alignas(64) Shard {
    std::mutex lock;
    std::array<Entry, kEntriesPerShard> entries;
  };
  std::array<Shard, kShards> shards;
};

Bpe::Bpe() : cache_(std::make_unique<Cache>()) { byte_token.fill(-1); }
Bpe::~Bpe() = default;

void MergeTable::reserve(size_t merges) {
  size_t size = 16;
  while (size < 2 * merges) size *= 2;
  if (size <= slots_.size()) return;
  std::vector<Slot> old(size);
  old.swap(slots_);
  for (const Slot& s : old)
    if (s.left >= 0) slots_[slot(s.left, s.right)] = s;
}

size_t MergeTable::slot(int32_t left, int32_t right) const {
  uint64_t key = uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  key *= 0x9E3779B97F4A7C15u;  // Fibonacci hashing: the high bits are well mixed
  size_t at = static_cast<size_t>(key >> 32) & (slots_.size() - 1);
  while (slots_[at].left >= 0 && (slots_[at].left != left || slots_[at].right != right)) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void MergeTable::set(int32_t left, int32_t right, Merge merge) {
  reserve(used_ + 1);
  Slot& s = slots_[slot(left, right)];
  if (s.left < 0) ++used_;
  s = {left, right, merge};
}

const MergeTable::Merge* MergeTable::find(int32_t left, int32_t right) const {
  if (slots_.empty()) return nullptr;
  const Slot& s = slots_[slot(left, right)];
  return s.left < 0 ? nullptr : &s.merge;
}

void Bpe::initial_symbols(std::string_view piece, std::vector<TokenSpan>& symbols) const {
  const auto span = [](int32_t id, size_t begin, size_t end) { return TokenSpan{id, static_cast<int32_t>(begin), static_cast<int32_t>(end)}; };
  bool after_unknown = false;
  const auto add_unknown = [&](size_t begin, size_t end) {
    if (unknown < 0) return;
    if (fuse_unknown && after_unknown) symbols.back().end = static_cast<int32_t>(end);
    else symbols.push_back(span(unknown, begin, end));
    after_unknown = true;
  };
  for (size_t at = 0; at < piece.size();) {
    size_t n = 1;
    int32_t id = -1;
    if (byte_level) {
      id = byte_token[static_cast<uint8_t>(piece[at])];
    } else {
      n = std::max<size_t>(1, utf8_length(piece.substr(at)));
      if (const auto it = vocabulary.find(piece.substr(at, n)); it != vocabulary.end()) id = it->second;
    }
    const auto is_token = [&](char c) { return byte_token[static_cast<uint8_t>(c)] >= 0; };
    if (id >= 0) {
      symbols.push_back(span(id, at, at + n));
      after_unknown = false;
    } else if (byte_fallback && !byte_level && std::all_of(piece.begin() + static_cast<ptrdiff_t>(at), piece.begin() + static_cast<ptrdiff_t>(at + n), is_token)) {
      for (size_t i = at; i < at + n; ++i) symbols.push_back(span(byte_token[static_cast<uint8_t>(piece[i])], i, i + 1));
      after_unknown = false;
    } else {
      add_unknown(at, at + n);
    }
    at += n;
  }
}

void Bpe::merge_short(std::vector<TokenSpan>& symbols) const {
  MergeTable::Merge next[kShortSymbols];  // of symbol i with symbol i + 1; rank INT_MAX: none
  size_t count = symbols.size();
  const auto look_up = [&](size_t i) {
    const MergeTable::Merge* merge = i + 1 < count ? merges.find(symbols[i].id, symbols[i + 1].id) : nullptr;
    next[i] = merge ? *merge : MergeTable::Merge{INT_MAX, -1};
  };
  for (size_t i = 0; i < count; ++i) look_up(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i)
      if (next[i].rank < next[best].rank) best = i;
    if (next[best].rank == INT_MAX) break;
    symbols[best] = {next[best].id, symbols[best].begin, symbols[best + 1].end};
    --count;
    for (size_t i = best + 1; i < count; ++i) {
      symbols[i] = symbols[i + 1];
      next[i] = next[i + 1];
    }
    look_up(best);
    if (best > 0) look_up(best - 1);
  }
  symbols.resize(count);
}

void Bpe::merge_long(std::vector<TokenSpan>& symbols) const {
  const auto count = static_cast<int32_t>(symbols.size());
  const auto at = [&](int32_t i) -> TokenSpan& { return symbols[static_cast<size_t>(i)]; };
  std::vector<int32_t> next(symbols.size()), previous(symbols.size());
  struct Candidate {
    int32_t rank, left, right, left_id, right_id, id;
    bool operator<(const Candidate& other) const {  // the queue's top is the lowest rank, then the leftmost
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  std::vector<Candidate> first;
  const auto candidate = [&](int32_t left, int32_t right, const MergeTable::Merge& merge) {
    return Candidate{merge.rank, left, right, at(left).id, at(right).id, merge.id};
  };
  for (int32_t i = 0; i < count; ++i) {
    next[static_cast<size_t>(i)] = i + 1 < count ? i + 1 : -1;
    previous[static_cast<size_t>(i)] = i - 1;
    if (i + 1 < count)
      if (const auto* merge = merges.find(at(i).id, at(i + 1).id)) first.push_back(candidate(i, i + 1, *merge));
  }
  std::priority_queue<Candidate> queue({}, std::move(first));
  const auto consider = [&](int32_t left, int32_t right) {
    if (const auto* merge = merges.find(at(left).id, at(right).id)) queue.push(candidate(left, right, *merge));
  };
  while (!queue.empty()) {
    const Candidate c = queue.top();
    queue.pop();
    TokenSpan &left = at(c.left), &right = at(c.right);
    if (left.id != c.left_id || right.id != c.right_id || next[static_cast<size_t>(c.left)] != c.right) continue;  // outdated
    left = {c.id, left.begin, right.end};
    right.id = -1;
    const int32_t after = next[static_cast<size_t>(c.right)], before = previous[static_cast<size_t>(c.left)];
    next[static_cast<size_t>(c.left)] = after;
    if (after >= 0) {
      previous[static_cast<size_t>(after)] = c.left;
      consider(c.left, after);
    }
    if (before >= 0) consider(before, c.left);
  }
  std::erase_if(symbols, [](const TokenSpan& symbol) { return symbol.id < 0; });
}

void Bpe::encode(std::string_view piece, int32_t offset, std::vector<TokenSpan>& out) const {
  if (piece.empty()) return;
  const size_t hash = StringHash{}(piece);
  const bool cached = piece.size() <= kCachedBytes;
  Cache::Shard& shard = cache_->shards[hash % kShards];
  Cache::Entry& entry = shard.entries[(hash / kShards) % kEntriesPerShard];
  if (cached) {
    const std::lock_guard guard(shard.lock);
    if (entry.bytes == piece.size() && piece == std::string_view(entry.text, entry.bytes)) {
      int32_t begin = offset;
      for (size_t i = 0; i < entry.tokens; ++i) {
        out.push_back({entry.ids[i], begin, offset + entry.ends[i]});
        begin = out.back().end;
      }
      return;
    }
  }
  thread_local std::vector<TokenSpan> symbols;  // keeps its memory: a piece has a few symbols, and there are many pieces
  symbols.clear();
  const auto whole = ignore_merges ? vocabulary.find(piece) : vocabulary.end();
  if (whole != vocabulary.end()) {
    symbols.push_back({whole->second, 0, static_cast<int32_t>(piece.size())});
  } else {
    initial_symbols(piece, symbols);
    if (symbols.size() <= kShortSymbols) merge_short(symbols);
    else merge_long(symbols);
  }
  for (const TokenSpan& t : symbols) out.push_back({t.id, t.begin + offset, t.end + offset});
  // Tokens that leave out bytes (dropped characters) have no compact form.
  const bool gapless = !symbols.empty() && symbols.front().begin == 0 && symbols.back().end == static_cast<int32_t>(piece.size()) &&
                       std::adjacent_find(symbols.begin(), symbols.end(), [](const auto& a, const auto& b) { return a.end != b.begin; }) == symbols.end();
  if (!cached || !gapless || symbols.size() > kCachedTokens) return;
  const std::lock_guard guard(shard.lock);
  entry.bytes = static_cast<uint8_t>(piece.size());
  entry.tokens = static_cast<uint8_t>(symbols.size());
  std::copy(piece.begin(), piece.end(), entry.text);
  for (size_t i = 0; i < symbols.size(); ++i) {
    entry.ids[i] = symbols[i].id;
    entry.ends[i] = static_cast<uint8_t>(symbols[i].end);
  }
}

}  // namespace hone::text
