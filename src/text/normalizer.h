// What a tokenizer does to text before it is cut: Unicode forms, replacements, prefixes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/pattern.h"

namespace hone::text {

enum class Normalization { kNfc, kNfd, kNfkc, kNfkd };

/// A changed text and where each byte came from. Unchanged text needs no map: byte i of `text` is byte base + i of the source.
struct MappedText {
  std::string text;
  int32_t base = 0;
  std::vector<int32_t> begin, end;  // empty, or one each for every byte of `text`

  int32_t source_begin(size_t i) const { return begin.empty() ? base + static_cast<int32_t>(i) : begin[i]; }
  int32_t source_end(size_t i) const { return end.empty() ? base + static_cast<int32_t>(i) + 1 : end[i]; }
  MappedText slice(size_t from, size_t to) const;
};

/// Builds a MappedText out of ranges of another and of new text.
class MappedBuilder {
 public:
  explicit MappedBuilder(const MappedText& source) : in_(source) {}
  /// Bytes [from, to) of the source as they are.
  void keep(size_t from, size_t to);
  /// `text`, which stands for bytes [from, to) of the source; an empty range stands before byte `from`.
  void put(std::string_view text, size_t from, size_t to);
  MappedText take() { return std::move(out_); }

 private:
  const MappedText& in_;
  MappedText out_;
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

/// Every step in order. The text must be well-formed UTF-8.
MappedText normalize(MappedText text, const std::vector<NormalizeStep>& steps);

/// Every match of `pattern` replaced; a pattern cannot match across the ends of the text.
MappedText replaced(const MappedText& text, const Pattern& pattern, std::string_view with);

}  // namespace hone::text
