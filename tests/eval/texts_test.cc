// BLEU, chrF and ROUGE against sacreBLEU and rouge-score, row by row and over whole corpora.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json_file.h"
#include "eval/bleu.h"
#include "eval/characters.h"
#include "eval/chrf.h"
#include "eval/rouge.h"

namespace hone::eval {
namespace {

constexpr double kNear = 1e-6;

struct Corpus {
  std::string name;
  std::vector<std::string> predictions;
  std::vector<std::vector<std::string>> references;
  nlohmann::json expected;
  size_t width() const {  // 0: rows differ in their number of references
    for (const auto& r : references)
      if (r.size() != references[0].size()) return 0;
    return references[0].size();
  }
};

const std::vector<Corpus>& corpora() {
  static const std::vector<Corpus> all = [] {
    std::vector<Corpus> list;
    const nlohmann::json golden = read_json(HONE_GOLDEN_DIR "/metrics/texts.json");
    for (const auto& [name, entry] : golden.at("corpora").items()) {
      Corpus& corpus = list.emplace_back();
      corpus.name = name;
      corpus.expected = entry;
      for (const auto& row : entry.at("rows")) {
        corpus.predictions.push_back(row.at("prediction"));
        corpus.references.push_back(row.at("references"));
      }
    }
    return list;
  }();
  return all;
}

TEST(Bleu, EqualsSacrebleu) {
  ASSERT_GE(corpora().size(), 6u);
  for (const Corpus& corpus : corpora())
    for (const auto& [word, expected] : corpus.expected.at("bleu").items()) {
      const BleuTokenizer tokenizer = parse_bleu_tokenizer(word, "test");
      BleuCounts sum{};
      for (size_t i = 0; i < corpus.predictions.size(); ++i) {
        const BleuCounts counts = bleu_counts(corpus.predictions[i], corpus.references[i], tokenizer);
        EXPECT_NEAR(bleu(counts, /*effective_order=*/true).score, expected["rows"][i].get<double>(), kNear) << corpus.name << " " << word << ": " << corpus.predictions[i];
        for (size_t k = 0; k < sum.size(); ++k) sum[k] += counts[k];
      }
      const Bleu whole = bleu(sum);
      EXPECT_NEAR(whole.score, expected["score"].get<double>(), kNear) << corpus.name << " " << word;
      EXPECT_NEAR(whole.brevity_penalty, expected["brevity_penalty"].get<double>(), kNear);
      EXPECT_EQ(whole.length, expected["length"].get<double>());
      EXPECT_EQ(whole.reference_length, expected["reference_length"].get<double>());
      for (size_t n = 0; n < 4; ++n) EXPECT_NEAR(whole.precisions[n], expected["precisions"][n].get<double>(), kNear);
      EXPECT_EQ(bleu_signature(tokenizer, corpus.width()), expected["signature"].get<std::string>());
    }
}

TEST(Chrf, EqualsSacrebleu) {
  for (const Corpus& corpus : corpora())
    for (const auto& [order, expected] : corpus.expected.at("chrf").items()) {
      ChrfOptions options;
      options.word_order = std::stoi(order);
      std::vector<double> sum(options.size());
      for (size_t i = 0; i < corpus.predictions.size(); ++i) {
        const std::vector<double> counts = chrf_counts(corpus.predictions[i], corpus.references[i], options);
        EXPECT_NEAR(chrf(counts, options), expected["rows"][i].get<double>(), kNear) << corpus.name << " " << order << ": " << corpus.predictions[i];
        for (size_t k = 0; k < sum.size(); ++k) sum[k] += counts[k];
      }
      EXPECT_NEAR(chrf(sum, options), expected["score"].get<double>(), kNear) << corpus.name;
      EXPECT_EQ(chrf_signature(options, corpus.width()), expected["signature"].get<std::string>());
    }
}

TEST(Rouge, EqualsRougeScore) {
  for (const Corpus& corpus : corpora())
    for (const auto& [word, expected] : corpus.expected.at("rouge").items())
      for (size_t i = 0; i < corpus.predictions.size(); ++i) {
        const RougeScores found = rouge(corpus.predictions[i], corpus.references[i], parse_rouge_tokenizer(word, "test"));
        const auto compare = [&](const char* kind, const Rouge& r) {
          const std::string where = corpus.name + " " + word + " " + kind + ": " + corpus.predictions[i];
          EXPECT_NEAR(r.precision, expected[kind][i][0].get<double>(), kNear) << where;
          EXPECT_NEAR(r.recall, expected[kind][i][1].get<double>(), kNear) << where;
          EXPECT_NEAR(r.f, expected[kind][i][2].get<double>(), kNear) << where;
        };
        compare("rouge1", found.rouge1);
        compare("rouge2", found.rouge2);
        compare("rouge_l", found.rouge_l);
        compare("rouge_lsum", found.rouge_lsum);
      }
}

TEST(Rouge, RefusesTextsTooLongToAlign) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "a ";
  EXPECT_THROW(rouge(text, {text}, RougeTokenizer::kAscii), Error);
}

TEST(Characters, IllFormedBytesBecomeReplacements) { EXPECT_EQ(code_points("a\xFF\xE4\xBD z"), U"a\uFFFD\uFFFD z"); }

TEST(Tokenizers, NamesAreChecked) {
  EXPECT_THROW(parse_bleu_tokenizer("14a", "here"), Error);
  EXPECT_THROW(parse_rouge_tokenizer("jieba", "here"), Error);
}

}  // namespace
}  // namespace hone::eval
