// Cutting text into the pieces that byte-pair encoding never crosses.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/normalizer.h"
#include "text/pattern.h"

namespace hone::text {

/// A range of the normalised text.
struct Piece { size_t begin, end; };

enum class SplitBehavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// One step of a pre-tokenizer.
struct PreStep {
  enum class Kind {
    kSplit,      // matches of `pattern` (or, inverted, the gaps between them) are cut out of each piece
    kSpace,      // a space is put before each piece that begins with none
    kMetaspace,  // spaces become ▁, and one is put before pieces as `prefix` says
  };
  enum class Prefix { kNever, kFirst, kAlways };  // kFirst: only where the piece is the beginning of the text

  Kind kind = Kind::kSplit;
  std::shared_ptr<const Pattern> pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;
  Prefix prefix = Prefix::kNever;

  static PreStep split(const std::string& regex, const std::string& where, SplitBehavior behavior = SplitBehavior::kIsolated, bool invert = false);
};

/// Every step in order, on the pieces of the one before. Steps that insert change `text`; the pieces are ranges of what it is
/// in the end. Throws Error{kInvalidInput} when the patterns take far longer than any sane pattern needs.
std::vector<Piece> pre_tokenize(MappedText& text, const std::vector<PreStep>& steps);

/// GPT-2's own pattern, which byte-level pre-tokenizers use.
extern const char* const kGpt2Pattern;

/// What a GGUF `tokenizer.ggml.pre` name stands for in the tokenizer.json it was made from.
struct GgufPre {
  std::vector<PreStep> steps;
  bool nfc = false;            // its normalizer
  bool ignore_merges = false;  // its model's setting
};
/// Throws Error{kUnsupported} listing the known names.
GgufPre gguf_pretokenizer(const std::string& pre, const std::string& where);
/// The name whose patterns and merging rule are these: the inverse. Throws Error{kUnsupported} naming the patterns when GGUF has
/// no such name.
std::string gguf_pretokenizer_name(const std::vector<PreStep>& splits, bool ignore_merges, const std::string& where);

}  // namespace hone::text
