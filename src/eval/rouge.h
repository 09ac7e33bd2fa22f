// ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum (Lin, 2004) with the arithmetic of rouge-score, without stemming.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace hone::eval {

/// kAscii: rouge-score's own: lower case, runs of a–z and 0–9. kHan: lower case, every Han character is a token, other letters,
/// marks and digits of any script form words; the one to use for Chinese and mixed text.
enum class RougeTokenizer { kAscii, kHan };
/// "ascii" or "han"; throws Error{kInvalidInput} naming `where` for another word.
RougeTokenizer parse_rouge_tokenizer(std::string_view word, const std::string& where);
std::string_view name(RougeTokenizer tokenizer);

std::vector<std::u32string> rouge_tokens(std::string_view text, RougeTokenizer tokenizer);

struct Rouge {
  double precision = 0, recall = 0, f = 0;  // 0 to 1
};
struct RougeScores {
  Rouge rouge1, rouge2, rouge_l, rouge_lsum;
};

/// Against the reference with the best F, for each kind by itself; Lsum takes lines for sentences. At least one reference. Throws
/// Error{kInvalidInput} when two texts are too long to be aligned (the product of their lengths is above 2^33).
RougeScores rouge(std::string_view prediction, const std::vector<std::string>& references, RougeTokenizer tokenizer);

}  // namespace hone::eval
