#include "eval/chrf.h"

#include "base/error.h"
#include "eval/characters.h"
#include "eval/ngrams.h"

namespace hone::eval {
namespace {

bool ascii_punctuation(char32_t c) { return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~'); }

// Words with one punctuation mark split off: the last, or else the first.
std::vector<std::u32string> chrf_words(std::u32string_view text) {
  std::vector<std::u32string> out;
  for (std::u32string& word : split(text)) {
    if (word.size() > 1 && ascii_punctuation(word.back())) {
      out.push_back(word.substr(0, word.size() - 1));
      out.push_back(word.substr(word.size() - 1));
    } else if (word.size() > 1 && ascii_punctuation(word.front())) {
      out.push_back(word.substr(0, 1));
      out.push_back(word.substr(1));
    } else {
      out.push_back(std::move(word));
    }
  }
  return out;
}

void append_counts(const Ngrams& ngrams, size_t reference, int orders, std::vector<double>& out) {
  for (int n = 1; n <= orders; ++n) {
    const auto order = static_cast<size_t>(n - 1);
    const auto expected = static_cast<double>(ngrams.ids[reference][order].size());
    out.push_back(expected > 0 ? static_cast<double>(ngrams.ids[0][order].size()) : 0);
    out.push_back(expected);
    out.push_back(static_cast<double>(shared(ngrams.counts(0, n), ngrams.counts(reference, n))));
  }
}

}  // namespace

std::vector<double> chrf_counts(std::string_view prediction, const std::vector<std::string>& references, const ChrfOptions& options) {
  HONE_CHECK(!references.empty(), "no reference");
  std::vector<std::vector<uint32_t>> characters;
  std::vector<std::vector<std::u32string>> words;
  const auto add = [&](std::string_view text) {
    const std::u32string points = code_points(text);
    auto& letters = characters.emplace_back();
    for (const char32_t c : points)
      if (!is_space(c)) letters.push_back(c);
    if (options.word_order > 0) words.push_back(chrf_words(points));
  };
  add(prediction);
  for (const std::string& reference : references) add(reference);
  const Ngrams by_character(characters, options.character_order), by_word(number_words(words), options.word_order);
  std::vector<double> best;
  double best_score = -1;
  for (size_t r = 1; r <= references.size(); ++r) {
    std::vector<double> counts;
    append_counts(by_character, r, options.character_order, counts);
    append_counts(by_word, r, options.word_order, counts);
    const double score = chrf(counts, options);
    if (score <= best_score) continue;
    best_score = score;
    best = std::move(counts);
  }
  return best;
}

double chrf(std::span<const double> counts, const ChrfOptions& options) {
  HONE_CHECK(counts.size() == options.size(), "{} counts", counts.size());
  const double factor = options.beta * options.beta;
  double precision = 0, recall = 0, orders = 0;
  for (size_t i = 0; i < counts.size(); i += 3) {
    if (counts[i] <= 0 || counts[i + 1] <= 0) continue;
    precision += counts[i + 2] / counts[i];
    recall += counts[i + 2] / counts[i + 1];
    ++orders;
  }
  if (precision + recall <= 0) return 0;
  precision /= orders;
  recall /= orders;
  return 100 * (1 + factor) * precision * recall / (factor * precision + recall);
}

std::string chrf_signature(const ChrfOptions& options, size_t references) {
  return fmt::format("nrefs:{}|case:mixed|eff:yes|nc:{}|nw:{}|space:no", references ? std::to_string(references) : "var", options.character_order, options.word_order);
}

}  // namespace hone::eval
