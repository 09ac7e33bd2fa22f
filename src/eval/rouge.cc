#include "eval/rouge.h"

#include <algorithm>

#include "base/error.h"
#include "eval/characters.h"
#include "eval/ngrams.h"

namespace hone::eval {
namespace {

using Tokens = std::vector<uint32_t>;

Rouge of(double hits, size_t predicted, size_t expected) {
  Rouge r;
  r.precision = hits / static_cast<double>(std::max<size_t>(predicted, 1));
  r.recall = hits / static_cast<double>(std::max<size_t>(expected, 1));
  if (r.precision + r.recall > 0) r.f = 2 * r.precision * r.recall / (r.precision + r.recall);
  return r;
}

void check_lengths(const Tokens& a, const Tokens& b) {
  if (static_cast<uint64_t>(a.size()) * b.size() > uint64_t{1} << 33)
    throw Error(ErrorCode::kInvalidInput, "rouge", fmt::format("two texts of {} and {} tokens are too long to be aligned", a.size(), b.size()), "shorten the texts, or leave the rouge metrics out");
}

// Length of the longest common subsequence; two rows of the table suffice.
size_t common_length(const Tokens& a, const Tokens& b) {
  check_lengths(a, b);
  std::vector<uint32_t> row(b.size() + 1);
  for (const uint32_t token : a) {
    uint32_t diagonal = 0;
    for (size_t j = 1; j <= b.size(); ++j) {
      const uint32_t above = row[j];
      row[j] = token == b[j - 1] ? diagonal + 1 : std::max(above, row[j - 1]);
      diagonal = above;
    }
  }
  return row.back();
}

// Marks in `hit` the tokens of `a` in one longest common subsequence: walking back from the end, a step in `b` is taken only
// where it keeps strictly more than a step in `a`. One bit per cell remembers that.
void mark_common(const Tokens& a, const Tokens& b, std::vector<char>& hit) {
  check_lengths(a, b);
  const size_t width = b.size() + 1;
  std::vector<bool> step_in_b((a.size() + 1) * width);
  std::vector<uint32_t> row(width);
  for (size_t i = 1; i <= a.size(); ++i) {
    uint32_t diagonal = 0;
    for (size_t j = 1; j <= b.size(); ++j) {
      const uint32_t above = row[j];
      step_in_b[i * width + j] = row[j - 1] > above;
      row[j] = a[i - 1] == b[j - 1] ? diagonal + 1 : std::max(above, row[j - 1]);
      diagonal = above;
    }
  }
  for (size_t i = a.size(), j = b.size(); i > 0 && j > 0;) {
    if (a[i - 1] == b[j - 1]) hit[--i] = 1, --j;
    else if (step_in_b[i * width + j]) --j;
    else --i;
  }
}

using Sentences = std::vector<Tokens>;

// Union of each reference sentence's matches with every predicted sentence; no token counts more often than either side has it.
Rouge summary(const Sentences& predicted, const Sentences& expected, size_t distinct) {
  size_t m = 0, n = 0;
  std::vector<uint32_t> left_expected(distinct), left_predicted(distinct);
  for (const Tokens& s : expected)
    for (const uint32_t t : s) ++left_expected[t], ++m;
  for (const Tokens& s : predicted)
    for (const uint32_t t : s) ++left_predicted[t], ++n;
  if (m == 0 || n == 0) return {};
  double hits = 0;
  for (const Tokens& s : expected) {
    std::vector<char> hit(s.size());
    for (const Tokens& p : predicted) mark_common(s, p, hit);
    for (size_t i = 0; i < s.size(); ++i) {
      if (!hit[i] || left_expected[s[i]] == 0 || left_predicted[s[i]] == 0) continue;
      --left_expected[s[i]], --left_predicted[s[i]], ++hits;
    }
  }
  return of(hits, n, m);
}

void keep_better(Rouge& best, const Rouge& other, bool first) {
  if (first || other.f > best.f) best = other;
}

}  // namespace

RougeTokenizer parse_rouge_tokenizer(std::string_view word, const std::string& where) {
  if (word == "ascii") return RougeTokenizer::kAscii;
  if (word == "han") return RougeTokenizer::kHan;
  throw Error(ErrorCode::kInvalidInput, where, fmt::format("expected ascii or han, found \"{}\"", word), "han takes each Chinese character for a word; ascii is what rouge-score does");
}

std::string_view name(RougeTokenizer tokenizer) { return tokenizer == RougeTokenizer::kAscii ? "ascii" : "han"; }

std::vector<std::u32string> rouge_tokens(std::string_view text, RougeTokenizer tokenizer) {
  std::vector<std::u32string> tokens;
  std::u32string word;
  const auto end_word = [&] {
    if (!word.empty()) tokens.push_back(std::exchange(word, {}));
  };
  for (const char32_t c : lower(code_points(text))) {
    const bool ascii = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (tokenizer == RougeTokenizer::kHan && is_han(c)) {
      end_word();
      tokens.emplace_back(1, c);
    } else if (ascii || (tokenizer == RougeTokenizer::kHan && is_word_character(c))) {
      word += c;
    } else {
      end_word();
    }
  }
  end_word();
  return tokens;
}

RougeScores rouge(std::string_view prediction, const std::vector<std::string>& references, RougeTokenizer tokenizer) {
  HONE_CHECK(!references.empty(), "no reference");
  // Line by line: a line end is no token, so the whole text is its lines one after another.
  std::vector<std::vector<std::u32string>> lines;
  std::vector<size_t> first_line;
  const auto add = [&](std::string_view text) {
    first_line.push_back(lines.size());
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      if (end > at) lines.push_back(rouge_tokens(text.substr(at, end - at), tokenizer));
      at = end + 1;
    }
  };
  add(prediction);
  for (const std::string& reference : references) add(reference);
  first_line.push_back(lines.size());
  const Sentences numbered = number_words(lines);
  std::vector<Sentences> sentences;
  Sentences whole;
  uint32_t distinct = 0;
  for (size_t t = 0; t + 1 < first_line.size(); ++t) {
    const auto begin = numbered.begin() + static_cast<std::ptrdiff_t>(first_line[t]), end = numbered.begin() + static_cast<std::ptrdiff_t>(first_line[t + 1]);
    sentences.emplace_back(begin, end);
    auto& all = whole.emplace_back();
    for (auto s = begin; s != end; ++s) all.insert(all.end(), s->begin(), s->end());
    for (const uint32_t token : all) distinct = std::max(distinct, token + 1);
  }
  const Ngrams ngrams(whole, 2);
  RougeScores best;
  for (size_t r = 1; r < whole.size(); ++r) {
    const auto by_order = [&](int n) {
      const auto order = static_cast<size_t>(n - 1);
      return of(static_cast<double>(shared(ngrams.counts(0, n), ngrams.counts(r, n))), ngrams.ids[0][order].size(), ngrams.ids[r][order].size());
    };
    keep_better(best.rouge1, by_order(1), r == 1);
    keep_better(best.rouge2, by_order(2), r == 1);
    keep_better(best.rouge_l, of(static_cast<double>(common_length(whole[r], whole[0])), whole[0].size(), whole[r].size()), r == 1);
    keep_better(best.rouge_lsum, summary(sentences[0], sentences[r], distinct), r == 1);
  }
  return best;
}

}  // namespace hone::eval
