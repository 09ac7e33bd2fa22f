#include "data/quality/minhash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>

#include "base/rng.h"
#include "data/quality/near_duplicates.h"
#include "data/quality/row_text.h"

namespace hone::data {
namespace {

std::string random_text(uint64_t seed, int letters) {
  const Rng rng{seed, Rng::kSample, 0};
  std::string text;
  for (int i = 0; i < letters; ++i) text += static_cast<char>('a' + rng.below(static_cast<uint64_t>(i), 26));
  return text;
}

// Of `letters` letters the last ones are others, so that the exact similarity is close to `j`.
std::string relative(const std::string& text, double j, uint64_t seed) {
  const auto shared = static_cast<size_t>(2 * j / (1 + j) * static_cast<double>(text.size()));
  return text.substr(0, shared) + random_text(seed, static_cast<int>(text.size() - shared));
}

TEST(Shingles, SixLettersOrTwoChineseCharacters) {
  EXPECT_EQ(shingles_of("abcdefgh").size(), 3u);
  EXPECT_EQ(shingles_of("一二三四").size(), 3u);
  EXPECT_EQ(shingles_of("abc").size(), 1u);
  EXPECT_EQ(shingles_of("").size(), 0u);
  EXPECT_EQ(shingles_of("aaaaaaaaaaaa").size(), 1u) << "each shingle counts once";
  EXPECT_NEAR(jaccard(shingles_of("abcdefgh"), shingles_of("abcdefgx")), 0.5, 1e-12) << "two of four shingles are shared";
  EXPECT_EQ(jaccard({}, shingles_of("abcdefgh")), 0);
}

// The definition, word for word: from every character on, up to the first character that makes it six bytes.
std::set<std::string> plain_shingles(const std::string& text) {
  const auto begins = [&](size_t i) { return i == text.size() || (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80; };
  std::set<std::string> shingles;
  for (size_t begin = 0; begin < text.size(); ++begin) {
    if (!begins(begin)) continue;
    size_t end = std::min(begin + 6, text.size());
    while (!begins(end)) ++end;
    shingles.insert(text.substr(begin, end - begin));
    if (end == text.size()) break;
  }
  return shingles;
}

TEST(Shingles, AreThoseOfTheDefinition) {
  std::vector<std::string> texts = {"a", "ab", "abcdef", "abcdefg", "über größe", "一", "一二三", "жизнь и судьба", "a😀b😀c😀", "mixed 一 text 二 with ü and 😀 at the end"};
  for (uint64_t i = 0; i < 20; ++i) texts.push_back(random_text(i, static_cast<int>(7 * i)) + " tail " + random_text(i % 3, 300));
  for (const std::string& a : texts) {
    const auto shingles = shingles_of(a);
    EXPECT_TRUE(std::is_sorted(shingles.begin(), shingles.end()) && std::adjacent_find(shingles.begin(), shingles.end()) == shingles.end()) << a;
    // What lies behind a text in memory is not part of it.
    const std::string longer = a + "xyzxyzxyz";
    EXPECT_EQ(shingles_of(std::string_view(longer).substr(0, a.size())), shingles) << a;
    EXPECT_EQ(signature_of(std::string_view(longer).substr(0, a.size())), signature_of(a)) << a;
    for (const std::string& b : texts) {
      const auto x = plain_shingles(a), y = plain_shingles(b);
      std::vector<std::string> both;
      std::set_intersection(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(both));
      EXPECT_DOUBLE_EQ(jaccard(shingles, shingles_of(b)), static_cast<double>(both.size()) / static_cast<double>(x.size() + y.size() - both.size())) << a << " | " << b;
    }
  }
}

TEST(Normalized, ComparesLettersOnly) {
  EXPECT_EQ(normalized("  Hello,   World!\n"), "hello world");
  EXPECT_EQ(normalized("ＡＢＣ１２３，你好。"), "abc123 你好");
  EXPECT_EQ(normalized("…?!"), "");
  EXPECT_EQ(normalized("Ünïcode\u00A0ÄÖ_x-9 Ｚｚ！０"), "Ünïcode ÄÖ x 9 zz 0");
  EXPECT_EQ(normalized("a\xFF\xC3z"), "a z") << "bad bytes separate";
}

TEST(Signature, EstimatesTheSimilarity) {
  for (const int letters : {30, 120, 2000}) {
    for (const double j : {0.3, 0.6, 0.8, 0.95}) {
      double sum = 0, exact = 0;
      constexpr int kPairs = 200;
      for (uint64_t i = 0; i < kPairs; ++i) {
        const std::string a = random_text(i, letters), b = relative(a, j, 10000 + i);
        exact += jaccard(shingles_of(a), shingles_of(b));
        sum += similarity(signature_of(a), signature_of(b));
      }
      EXPECT_NEAR(sum / kPairs, exact / kPairs, 0.02) << letters << " letters, similarity " << j;
    }
  }
}

TEST(Banding, MeetsAtTheThreshold) {
  for (const double threshold : {0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0}) {
    const Banding banding = Banding::for_threshold(threshold);
    EXPECT_LE(banding.bands * banding.rows, kMinHashes);
    EXPECT_GE(banding.meets(threshold), 0.98) << threshold;
  }
  EXPECT_GT(Banding::for_threshold(0.95).rows, Banding::for_threshold(0.6).rows) << "a higher threshold makes narrower buckets";
}

// Pairs at a stated similarity among rows that have nothing to do with each other.
TEST(NearDuplicates, FindsThoseAboveTheThresholdAndNoOthers) {
  std::vector<std::string> texts;
  constexpr uint32_t kPairs = 150;
  for (uint32_t i = 0; i < kPairs; ++i) {
    const std::string text = random_text(i, 300);
    texts.push_back(text);
    texts.push_back(relative(text, i % 3 == 0 ? 0.9 : i % 3 == 1 ? 0.83 : 0.72, 5000 + i));
  }
  std::vector<Signature> signatures;
  for (const auto& text : texts) signatures.push_back(signature_of(text));
  const auto shingles = [&](uint32_t row) { return shingles_of(texts[row]); };
  RowGroups groups(static_cast<uint32_t>(texts.size()));
  std::vector<bool> skip(texts.size());
  skip[1] = true;
  join_near_duplicates(signatures, skip, shingles, 0.8, groups);
  int wanted = 0, found = 0;
  for (uint32_t row = 0; row < texts.size(); row += 2) {
    const double exact = jaccard(shingles(row), shingles(row + 1));
    const bool joined = groups.find(row) == groups.find(row + 1);
    if (row == 0) {
      EXPECT_FALSE(joined) << "a skipped row takes no part";
      continue;
    }
    wanted += exact >= 0.8;
    found += joined && exact >= 0.8;
    EXPECT_FALSE(joined && exact < 0.8) << exact;
  }
  EXPECT_GT(wanted, 90);
  EXPECT_GE(found, wanted * 98 / 100);
  std::set<uint32_t> sets;
  for (uint32_t row = 0; row < texts.size(); row += 2) sets.insert(groups.find(row));
  EXPECT_EQ(sets.size(), kPairs) << "no two pairs are joined";
}

// A sentence has few shingles: whether its pairs still meet in a bucket.
TEST(Banding, ShortTextsMeetToo) {
  const Banding banding = Banding::for_threshold(0.8);
  int pairs = 0, met = 0;
  for (uint64_t i = 0; i < 2000; ++i) {
    const std::string a = random_text(i, 40), b = relative(a, 0.88, 70000 + i);
    if (jaccard(shingles_of(a), shingles_of(b)) < 0.79) continue;
    const Signature first = signature_of(a), second = signature_of(b);
    bool meet = false;
    for (int band = 0; band < banding.bands && !meet; ++band) meet = bucket_of(first, banding, band) == bucket_of(second, banding, band);
    ++pairs;
    met += meet;
  }
  EXPECT_GT(pairs, 500);
  EXPECT_GE(met, pairs * 97 / 100) << met << " of " << pairs;
}

TEST(NearDuplicates, FindsTheRowThatAProbeIsLike) {
  std::vector<std::string> texts;
  for (uint64_t i = 0; i < 50; ++i) texts.push_back(random_text(i, 200));
  texts.push_back(relative(texts[17], 0.9, 999));
  texts.push_back(random_text(777, 200));
  std::vector<Signature> signatures;
  for (const auto& text : texts) signatures.push_back(signature_of(text));
  const auto near = nearest_before(signatures, std::vector<bool>(texts.size()), [&](uint32_t row) { return shingles_of(texts[row]); }, 0.8, 50);
  EXPECT_EQ(near, (std::vector<int64_t>{17, -1}));
}

}  // namespace
}  // namespace hone::data
