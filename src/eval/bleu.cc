#include "eval/bleu.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/characters.h"
#include "eval/ngrams.h"

namespace hone::eval {
namespace {

const std::vector<std::pair<std::string, BleuTokenizer>> kTokenizers = {
    {"none", BleuTokenizer::kNone}, {"13a", BleuTokenizer::k13a}, {"zh", BleuTokenizer::kZh}, {"intl", BleuTokenizer::kIntl}, {"char", BleuTokenizer::kChar}};

bool digit(char32_t c) { return c >= '0' && c <= '9'; }
bool point(char32_t c) { return c == '.' || c == ','; }
// ASCII punctuation and space, but for the apostrophe, comma, hyphen and point.
bool breaks(char32_t c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

template <class Matches>
std::u32string set_apart(std::u32string_view text, Matches matches) {
  std::u32string out;
  for (const char32_t c : text) {
    if (matches(c)) (out += U' ') += c, out += U' ';
    else out += c;
  }
  return out;
}

// Pairs (a, b), found from left to right without overlap: spaces around the second, or around the first.
template <class First, class Second>
std::u32string part_pairs(std::u32string_view text, First first, Second second, bool around_second) {
  std::u32string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i + 1 == text.size() || !first(text[i]) || !second(text[i + 1])) {
      out += text[i];
      continue;
    }
    if (!around_second) out += U' ';
    (out += text[i]) += U' ';
    out += text[++i];
    if (around_second) out += U' ';
  }
  return out;
}

// mteval's rules for Western text, which 13a and zh share.
std::u32string western(std::u32string_view text) {
  const auto no_digit = [](char32_t c) { return !digit(c); };
  std::u32string out = set_apart(text, breaks);
  out = part_pairs(out, no_digit, point, /*around_second=*/true);
  out = part_pairs(out, point, no_digit, /*around_second=*/false);
  return part_pairs(out, digit, [](char32_t c) { return c == '-'; }, /*around_second=*/true);
}

void replace(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
}

// The characters that sacreBLEU's zh takes for Chinese. Two of its ranges, meant for the supplementary planes, are read by it as
// U+2001 to U+2A6D and U+2F81 to U+2FA1; scores are only comparable when that is kept.
bool zh_character(char32_t c) {
  static constexpr std::array<std::pair<char32_t, char32_t>, 21> kRanges = {{{0x2001, 0x2A6D}, {0x2600, 0x26FF}, {0x2700, 0x27BF}, {0x2E80, 0x2EFF}, {0x2F00, 0x2FDF},
      {0x2F81, 0x2FA1}, {0x2FF0, 0x2FFF}, {0x3000, 0x303F}, {0x3100, 0x312F}, {0x31A0, 0x31BF}, {0x31C0, 0x31EF}, {0x3200, 0x32FF}, {0x3300, 0x33FF}, {0x3400, 0x4DB5},
      {0x4E00, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A}, {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F}, {0xFF00, 0xFFEF}}};
  return c >= 0x2001 && std::any_of(kRanges.begin(), kRanges.end(), [c](const auto& r) { return c >= r.first && c <= r.second; });
}

}  // namespace

BleuTokenizer parse_bleu_tokenizer(std::string_view word, const std::string& where) {
  std::vector<std::string> known;
  for (const auto& [text, tokenizer] : kTokenizers) {
    if (text == word) return tokenizer;
    known.push_back(text);
  }
  const std::string near = nearest(word, known);
  throw Error(ErrorCode::kInvalidInput, where, fmt::format("expected none, 13a, zh, intl or char, found \"{}\"", word), near.empty() ? "use one of these" : fmt::format("did you mean \"{}\"?", near));
}

std::string_view name(BleuTokenizer tokenizer) {
  return std::find_if(kTokenizers.begin(), kTokenizers.end(), [&](const auto& t) { return t.second == tokenizer; })->first;
}

std::vector<std::u32string> bleu_tokens(std::string_view text, BleuTokenizer tokenizer) {
  const std::u32string points = code_points(text);
  const std::u32string_view line = right_trimmed(points);
  switch (tokenizer) {
    case BleuTokenizer::kNone: return split(line);
    case BleuTokenizer::kChar: return split(set_apart(line, [](char32_t) { return true; }));
    case BleuTokenizer::kZh: return split(western(set_apart(trimmed(line), zh_character)));
    case BleuTokenizer::kIntl: {
      const auto no_number = [](char32_t c) { return !is_number(c); };
      std::u32string out = part_pairs(line, no_number, is_punctuation, /*around_second=*/true);
      out = part_pairs(out, is_punctuation, no_number, /*around_second=*/false);
      return split(set_apart(out, is_symbol));
    }
    case BleuTokenizer::k13a: break;
  }
  std::string plain = to_utf8(line);
  for (const auto& [from, to] : std::array<std::pair<const char*, const char*>, 7>{{{"<skipped>", ""}, {"-\n", ""}, {"\n", " "}, {"&quot;", "\""}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}}})
    replace(plain, from, to);
  return split(western(U" " + code_points(plain) + U" "));
}

BleuCounts bleu_counts(std::string_view prediction, const std::vector<std::string>& references, BleuTokenizer tokenizer) {
  HONE_CHECK(!references.empty(), "no reference");
  std::vector<std::vector<std::u32string>> texts = {bleu_tokens(prediction, tokenizer)};
  for (const std::string& reference : references) texts.push_back(bleu_tokens(reference, tokenizer));
  const Ngrams ngrams(number_words(texts), 4);
  const auto length = [&](size_t i) { return static_cast<double>(texts[i].size()); };
  BleuCounts counts{};
  counts[0] = length(0);
  counts[1] = length(1);
  for (size_t r = 2; r < texts.size(); ++r) {  // the closest, and of two equally close the shorter
    const double now = std::abs(counts[1] - counts[0]), other = std::abs(length(r) - counts[0]);
    if (other < now || (other == now && length(r) < counts[1])) counts[1] = length(r);
  }
  for (int n = 1; n <= 4; ++n) {
    std::vector<uint32_t> most = ngrams.counts(1, n);
    for (size_t r = 2; r < texts.size(); ++r) {
      const std::vector<uint32_t> more = ngrams.counts(r, n);
      for (size_t i = 0; i < most.size(); ++i) most[i] = std::max(most[i], more[i]);
    }
    counts[static_cast<size_t>(1 + n)] = static_cast<double>(shared(ngrams.counts(0, n), most));
    counts[static_cast<size_t>(5 + n)] = static_cast<double>(ngrams.ids[0][static_cast<size_t>(n - 1)].size());
  }
  return counts;
}

Bleu bleu(std::span<const double> counts, bool effective_order) {
  HONE_CHECK(counts.size() == kBleuSize, "{} counts", counts.size());
  Bleu result;
  result.length = counts[0];
  result.reference_length = counts[1];
  result.brevity_penalty = counts[0] >= counts[1] ? 1 : counts[0] > 0 ? std::exp(1 - counts[1] / counts[0]) : 0;
  const auto matches = counts.subspan(2, 4), totals = counts.subspan(6, 4);
  if (std::all_of(matches.begin(), matches.end(), [](double m) { return m == 0; })) return result;
  double smooth = 1, sum = 0;
  size_t order = 4;
  for (size_t n = 0; n < 4 && totals[n] > 0; ++n) {
    if (effective_order) order = n + 1;
    if (matches[n] == 0) smooth *= 2;
    result.precisions[n] = matches[n] == 0 ? 100 / (smooth * totals[n]) : 100 * matches[n] / totals[n];
  }
  for (size_t n = 0; n < order; ++n) sum += result.precisions[n] > 0 ? std::log(result.precisions[n]) : -9999999999.0;
  result.score = result.brevity_penalty * std::exp(sum / static_cast<double>(order));
  return result;
}

std::string bleu_signature(BleuTokenizer tokenizer, size_t references) {
  return fmt::format("nrefs:{}|case:mixed|eff:no|tok:{}|smooth:exp", references ? std::to_string(references) : "var", name(tokenizer));
}

}  // namespace hone::eval
