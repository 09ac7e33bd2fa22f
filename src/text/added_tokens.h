// Tokens that are found in text before it is cut into pieces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hone::text {

struct AddedToken {
  std::string content;
  int32_t id = -1;
  bool special = false, lstrip = false, rstrip = false, single_word = false, normalized = false;
};

/// Finds added tokens in text: leftmost, then longest, as a trie over their bytes.
class AddedTokenIndex {
 public:
  /// Takes the tokens whose `normalized` is as given.
  void build(const std::vector<AddedToken>& tokens, bool normalized);
  bool empty() const { return edges_.empty(); }

  struct Match {
    int token = -1;               // index into the list given to build(); −1: none
    size_t begin = 0, end = 0;    // the range it takes, white space that it strips included
  };
  /// The first match at or after text[at] that stands for itself: a special token when `special` is off, or a single_word
  /// token inside a word, is passed over as a whole.
  Match find(const std::vector<AddedToken>& tokens, std::string_view text, size_t at, bool special) const;

 private:
  std::unordered_map<uint64_t, uint32_t> edges_;  // node << 8 | byte → node
  std::vector<int> token_of_node_;                // −1: none ends here
  bool starts_[256] = {};
};

}  // namespace hone::text
