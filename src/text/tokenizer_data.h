// What a loaded tokenizer is made of; filled by the readers of tokenizer.json and GGUF.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"

namespace hone::text {

/// Cuts SentencePiece text where no token of the vocabulary crosses: faster, and the same tokens.
inline constexpr const char* kCutBeforeMarks = "▁+[^▁]*|[^▁]+";

/// Types of a GGUF vocabulary's tokens.
inline constexpr int64_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

struct TokenizerData {
  /// What the decoder takes off the beginning of a text.
  enum class Beginning { kKept, kOneSpace, kAllSpaces };

  std::string where;
  Bpe bpe;
  std::vector<NormalizeStep> normalizers;
  std::vector<PreStep> pre_steps;
  std::vector<std::string> tokens;   // by id: the bytes each stands for
  std::vector<std::string> names;    // by id: as the file writes it
  std::vector<bool> special;
  std::vector<AddedToken> added;
  AddedTokenIndex added_raw, added_normalized;
  std::vector<int32_t> prefix_tokens, suffix_tokens;  // what the post-processor adds
  Beginning decoded_beginning = Beginning::kKept;
  int32_t bos = -1, eos = -1, pad = -1;

  /// Registers a token of the model's vocabulary; `tokens` and `names` must have a place for it.
  void add_byte_level_token(const std::string& name, int32_t id);
  /// `byte`: −1, or the byte it is the fallback of.
  void add_character_token(const std::string& name, int32_t id, int byte);
  /// Registers the added tokens and what follows from all of them. Call once, last.
  void finish();

 private:
  void cut_before_marks();
};

/// The byte that "<0xNN>" names; −1 for anything else.
int byte_of_name(std::string_view name);
/// The byte that each of GPT-2's printable stand-ins means; −1 for other code points.
int gpt2_byte(uint32_t code_point);
/// A token written with GPT-2's stand-ins as the bytes it means; nothing when it holds another character.
std::optional<std::string> gpt2_bytes(std::string_view token);

}  // namespace hone::text
