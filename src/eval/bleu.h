// BLEU (Papineni et al., 2002) with the tokenizers and the arithmetic of sacreBLEU 2 (Post, 2018).
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hone::eval {

enum class BleuTokenizer { kNone, k13a, kZh, kIntl, kChar };
/// "13a", "zh", …; throws Error{kInvalidInput} naming `where` for another word.
BleuTokenizer parse_bleu_tokenizer(std::string_view word, const std::string& where);
std::string_view name(BleuTokenizer tokenizer);

std::vector<std::u32string> bleu_tokens(std::string_view text, BleuTokenizer tokenizer);

/// What BLEU needs to know of a row, or (added up) of a corpus: prediction's length, closest reference's length, matching and
/// total n-grams of order 1 to 4.
inline constexpr size_t kBleuSize = 10;
using BleuCounts = std::array<double, kBleuSize>;

/// At least one reference.
BleuCounts bleu_counts(std::string_view prediction, const std::vector<std::string>& references, BleuTokenizer tokenizer);

struct Bleu {
  double score = 0;  // 0 to 100
  std::array<double, 4> precisions{};
  double brevity_penalty = 0;
  double length = 0, reference_length = 0;
};

/// Exponential smoothing of zero matches. `effective_order` leaves out the orders that a short text cannot have: for single rows.
Bleu bleu(std::span<const double> counts, bool effective_order = false);

/// sacreBLEU's signature without its version: "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp". `references` 0: their number varies.
std::string bleu_signature(BleuTokenizer tokenizer, size_t references);

}  // namespace hone::eval
