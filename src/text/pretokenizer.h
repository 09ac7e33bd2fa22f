// Cutting text into the pieces that byte-pair encoding never crosses.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/pattern.h"

namespace hone::text {

/// A range of the normalised text.
struct Piece { size_t begin, end; };

enum class SplitBehavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// One step: matches (or, inverted, the gaps between them) are cut out of each piece.
struct SplitStep {
  std::shared_ptr<const Pattern> pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;
};

/// Every step in order, on the pieces of the one before.
std::vector<Piece> split(std::string_view text, std::vector<Piece> pieces, const std::vector<SplitStep>& steps);

/// GPT-2's own pattern, which byte-level pre-tokenizers use.
extern const char* const kGpt2Pattern;

/// The steps for a GGUF `tokenizer.ggml.pre` name; throws Error{kUnsupported} listing the known names.
std::vector<SplitStep> gguf_pretokenizer(const std::string& pre, const std::string& where);
/// Whether readers of GGUF take a piece that is a token as a whole without merging, under this `tokenizer.ggml.pre` name.
bool gguf_ignores_merges(std::string_view pre);
/// The name whose patterns and merging rule are these: the inverse of the two above. Throws Error{kUnsupported} naming the
/// patterns when GGUF has no such name.
std::string gguf_pretokenizer_name(const std::vector<SplitStep>& steps, bool ignore_merges, const std::string& where);

}  // namespace hone::text
