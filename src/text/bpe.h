// Byte-pair encoding (Sennrich et al. 2016) of one pre-tokenised piece.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
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

/// Which pairs of tokens merge, in what order, into what: an open-addressing table, since it is asked for every pair of
/// neighbours in every text.
class MergeTable {
 public:
  struct Merge { int32_t rank, id; };

  void reserve(size_t merges);
  /// A pair that comes twice keeps its last rank, as in the reference.
  void set(int32_t left, int32_t right, Merge merge);
  /// Null when the pair does not merge.
  const Merge* find(int32_t left, int32_t right) const;
  size_t size() const { return used_; }
  /// Calls fn(left, right, merge) for every pair, in no particular order.
  template <class F>
  void each(F&& fn) const {
    for (const Slot& s : slots_)
      if (s.left >= 0) fn(s.left, s.right, s.merge);
  }

 private:
  struct Slot { int32_t left = -1, right = -1; Merge merge{}; };
  size_t slot(int32_t left, int32_t right) const;
  std::vector<Slot> slots_;
  size_t used_ = 0;
};

/// Starts from characters (or bytes) and merges the adjacent pair of lowest rank, leftmost first, until none is left.
class Bpe {
 public:
  bool byte_level = true;       // symbols start as single bytes; otherwise as characters
  bool byte_fallback = false;   // characters outside the vocabulary become their <0xNN> bytes, when all of those are tokens
  bool ignore_merges = false;   // a piece that is a token as a whole is that token
  bool fuse_unknown = false;    // neighbouring unknown characters become one unknown token
  int32_t unknown = -1;         // −1: characters outside the vocabulary are dropped
  Vocabulary vocabulary;        // by the text (byte level: the bytes) a token stands for in a piece
  std::array<int32_t, 256> byte_token{};  // −1: none
  MergeTable merges;

  Bpe();
  ~Bpe();

  /// Appends the piece's tokens; spans are byte offsets within the piece, moved by `offset`.
  void encode(std::string_view piece, int32_t offset, std::vector<TokenSpan>& out) const;

 private:
  void initial_symbols(std::string_view piece, std::vector<TokenSpan>& symbols) const;
  void merge_short(std::vector<TokenSpan>& symbols) const;
  void merge_long(std::vector<TokenSpan>& symbols) const;

  // Short pieces repeat endlessly in text; the tokens of the last ones are kept, in parts that are locked one by one.
  struct Cache;
  std::unique_ptr<Cache> cache_;
};

}  // namespace hone::text
