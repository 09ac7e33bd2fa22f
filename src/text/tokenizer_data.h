// What a loaded tokenizer is made of; filled by the readers of tokenizer.json and GGUF.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "text/bpe.h"
#include "text/pretokenizer.h"
#include "text/unicode.h"

namespace hone::text {

struct AddedToken {
  std::string content;
  int32_t id = -1;
  bool special = false, lstrip = false, rstrip = false, single_word = false, normalized = false;
};

/// One step of normalisation.
struct NormalizeStep {
  enum class Kind { kForm, kReplace, kPrepend, kLowercase, kStrip };
  Kind kind = Kind::kForm;
  Normalization form = Normalization::kNfc;
  std::shared_ptr<const Pattern> pattern;  // kReplace
  std::string text;                        // kReplace: the new text; kPrepend
  bool left = false, right = false;        // kStrip
};

/// Finds added tokens in text: leftmost, then longest.
class AddedTokenIndex {
 public:
  void build(const std::vector<AddedToken>& tokens, bool normalized);
  /// Index of the token that begins at text[at], or −1. `special` false leaves special tokens out.
  int match(const std::vector<AddedToken>& tokens, std::string_view text, size_t at, bool special) const;
  bool empty() const { return by_first_.empty(); }
  bool starts(char c) const { return first_[static_cast<uint8_t>(c)]; }

 private:
  std::unordered_map<uint8_t, std::vector<int>> by_first_;  // longest first
  std::array<bool, 256> first_{};
};

struct TokenizerData {
  std::string where;
  Bpe bpe;
  std::vector<NormalizeStep> normalizers;
  std::vector<SplitStep> splits;
  bool metaspace = false;            // spaces become U+2581 before encoding
  bool metaspace_split = false;      // and pieces begin there
  bool prefix_space = false;         // a space is put before the text …
  bool prefix_first_only = false;    // … only before its very beginning, not after each added token
  std::vector<std::string> tokens;   // by id: the bytes each stands for
  std::vector<std::string> names;    // by id: as the file writes it
  std::vector<bool> special;
  std::vector<AddedToken> added;
  AddedTokenIndex added_raw, added_normalized;
  std::vector<int32_t> prefix_tokens, suffix_tokens;  // what the post-processor adds
  bool decode_strips_space = false;  // the first token of a text loses its leading space
  int32_t bos = -1, eos = -1, pad = -1;

  /// Registers names and bytes of every id up to `count`, then the added tokens. Call once, last.
  void finish();
};

/// The byte that each of GPT-2's printable stand-ins means; −1 for other code points.
int gpt2_byte(uint32_t code_point);
/// A token written with GPT-2's stand-ins as the bytes it means; as it is when it holds another character.
std::string gpt2_bytes(std::string_view token);

}  // namespace hone::text
