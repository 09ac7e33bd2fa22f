// Byte-pair encoding (Sennrich et al. 2016) of one pre-tokenised piece.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"

namespace hone::text {

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};
using Vocabulary = std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>>;

/// Starts from characters (or bytes) and merges the adjacent pair of lowest rank, leftmost first, until none is left.
class Bpe {
 public:
  struct Merge { int32_t rank, id; };

  bool byte_level = true;       // symbols start as single bytes; otherwise as characters
  bool byte_fallback = false;   // characters outside the vocabulary become their <0xNN> bytes
  bool ignore_merges = false;   // a piece that is a token as a whole is that token
  bool fuse_unknown = false;    // neighbouring unknown characters become one unknown token
  int32_t unknown = -1;         // −1: characters outside the vocabulary are dropped
  Vocabulary vocabulary;
  std::array<int32_t, 256> byte_token{};  // −1: none
  std::unordered_map<uint64_t, Merge> merges;  // by (left << 32 | right)

  static uint64_t pair(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }

  /// Appends the piece's tokens; spans are byte offsets within the piece, moved by `offset`.
  void encode(std::string_view piece, int32_t offset, std::vector<TokenSpan>& out) const;

 private:
  void merge(std::string_view piece, std::vector<TokenSpan>& out) const;
  std::vector<TokenSpan> initial_symbols(std::string_view piece) const;

  // Short pieces repeat endlessly in text; their tokens are kept in a few locked maps.
  static constexpr size_t kShards = 16, kShardEntries = 4096, kCachedBytes = 64;
  struct Shard {
    std::mutex lock;
    std::unordered_map<std::string, std::vector<TokenSpan>, StringHash, std::equal_to<>> entries;
  };
  mutable std::array<Shard, kShards> cache_;
};

}  // namespace hone::text
