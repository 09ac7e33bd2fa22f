#include <gmock/gmock.h>

#include <numeric>

#include "base/rng.h"
#include "data/packing.h"
#include "data/sample_builder.h"
#include "data_fixture.h"

namespace hone::data {
namespace {

Example chat(const std::vector<std::pair<std::string, std::string>>& turns) {
  Example example;
  example.messages = Json::array();
  for (const auto& [role, content] : turns) example.messages.push_back(Json{{"role", role}, {"content", content}});
  return example;
}

Example pair(std::string prompt, std::string completion) {
  Example example;
  example.kind = Example::Kind::kCompletion;
  example.prompt = std::move(prompt);
  example.completion = std::move(completion);
  return example;
}

Example text(std::string words) {
  Example example;
  example.kind = Example::Kind::kText;
  example.text = std::move(words);
  return example;
}

// Tokens without a label plain, with a label in [ ].
std::string shown(const Sample& sample) {
  std::string out;
  for (size_t i = 0; i < sample.ids.size(); ++i) {
    const bool before = i > 0 && sample.loss_mask[i - 1] != 0, now = sample.loss_mask[i] != 0;
    if (before != now) out += now ? "[" : "]";
    out += words({sample.ids[i]});
  }
  return out + (!sample.loss_mask.empty() && sample.loss_mask.back() != 0 ? "]" : "");
}

std::string built(const Example& example, CutRules rules = {}, const Encoder& encoder = ByteEncoder()) {
  std::vector<Sample> samples;
  const auto issue = build_samples(example, encoder, rules, {}, samples);
  if (issue) {
    EXPECT_TRUE(samples.empty());
    return std::string(name(issue->kind)) + ": " + issue->message;
  }
  std::string out;
  for (const Sample& sample : samples) out += (out.empty() ? "" : " / ") + shown(sample);
  return out;
}

TEST(Sample, LabelsTheAssistantOfAChat) {
  EXPECT_EQ(built(chat({{"system", "s"}, {"user", "q"}, {"assistant", "a"}, {"user", "r"}, {"assistant", "b"}})),
            "<1><300>s<2><301>q<2><302>[a<2>]<301>r<2><302>[b<2>]");
  CutRules all;
  all.train_on = TrainOn::kAll;
  EXPECT_EQ(built(chat({{"user", "q"}, {"assistant", "a"}}), all), "<1>[<301>q<2><302>a<2>]");
  Example weighted = chat({{"user", "q"}, {"assistant", "a"}, {"user", "r"}, {"assistant", "b"}});
  weighted.messages[1]["weight"] = 0;
  EXPECT_EQ(built(weighted, all), "<1>[<301>q<2><302>]a<2>[<301>r<2><302>b<2>]");
  weighted.messages[1].erase("weight");
  weighted.messages[3]["weight"] = 0;
  EXPECT_EQ(built(weighted, all), "<1>[<301>q<2><302>a<2><301>r<2><302>]b<2>") << "what stands before the last turn is learned, too";
}

TEST(Sample, LabelsCompletionsAndText) {
  EXPECT_EQ(built(pair("ab", "cd")), "<1>ab[cd<2>]");
  EXPECT_EQ(built(text("abc")), "<1>[abc<2>]");
}

TEST(Sample, CutsThePromptsStart) {
  CutRules rules;
  rules.cutoff_length = 8;
  EXPECT_EQ(built(pair("abcdef", "xyz"), rules), "<1>def[xyz<2>]");
  EXPECT_EQ(built(pair("abcdef", "uvwxyz"), rules), "<1>[uvwxyz<2>]");
  EXPECT_EQ(built(pair("abcdef", "tuvwxyz"), rules),
            "too long: the last answer does not fit: the sample has 15 tokens, the cut-off length is 8");
  rules.cutoff_length = 10;
  // The cut falls into the first answer, whose rest is then no label.
  EXPECT_EQ(built(chat({{"user", "q"}, {"assistant", "abcd"}, {"user", "r"}, {"assistant", "xy"}}), rules),
            "<1>d<2><301>r<2><302>[xy<2>]");
  // With everything a label, the same tokens stay.
  rules.train_on = TrainOn::kAll;
  EXPECT_EQ(built(chat({{"user", "q"}, {"assistant", "abcd"}, {"user", "r"}, {"assistant", "xy"}}), rules),
            "<1>[d<2><301>r<2><302>xy<2>]");
}

TEST(Sample, CutsWithoutABeginToken) {
  Sample sample;
  sample.ids = {10, 11, 12, 13, 14, 15, 16};
  sample.loss_mask = {0, 0, 0, 0, 1, 1, 0};
  Sample cut = sample;
  ASSERT_TRUE(truncate_prompt_start(cut, 3, std::nullopt));  // the token behind the last label goes first
  EXPECT_EQ(cut.ids, (std::vector<int32_t>{13, 14, 15}));
  EXPECT_EQ(cut.loss_mask, (std::vector<uint8_t>{0, 1, 1}));
  EXPECT_TRUE(cut.truncated);
  cut = sample;
  EXPECT_FALSE(truncate_prompt_start(cut, 2, std::nullopt));
  EXPECT_EQ(cut.ids, sample.ids);
  EXPECT_FALSE(cut.truncated);
}

TEST(Sample, DropsOrRefusesByPolicy) {
  CutRules rules;
  rules.cutoff_length = 4;
  rules.policy = CutOffPolicy::kDrop;
  EXPECT_EQ(built(pair("abc", "d"), rules), "too long: the sample has 6 tokens, the cut-off length is 4");
  EXPECT_EQ(built(text("abc"), rules), "too long: the sample has 5 tokens, the cut-off length is 4");
}

TEST(Sample, SplitsTextWithoutLosingALabel) {
  CutRules rules;
  rules.cutoff_length = 4;
  EXPECT_EQ(built(text("abcdef"), rules), "<1>[abc] / c[def] / f[<2>]");
  for (int64_t length = 1; length < 40; ++length) {
    for (int64_t limit = 2; limit < 10; ++limit) {
      rules.cutoff_length = limit;
      std::vector<Sample> samples;
      const std::string all(static_cast<size_t>(length), 'x');
      ASSERT_FALSE(build_samples(text(all), ByteEncoder(), rules, {}, samples));
      int64_t labels = 0, tokens = 0;
      std::vector<int64_t> lengths;
      for (const Sample& sample : samples) {
        EXPECT_LE(sample.length(), limit);
        EXPECT_GE(sample.supervised(), 1);
        EXPECT_EQ(sample.loss_mask.front(), 0);
        labels += sample.supervised();
        tokens += sample.length();
        lengths.push_back(sample.length());
      }
      EXPECT_EQ(labels, length + 1);  // the text and its end
      EXPECT_EQ(chunk_lengths(tokens - static_cast<int64_t>(samples.size()) + 1, limit), lengths);
    }
  }
}

TEST(Sample, ReportsRowsWithoutLabelsAndRefusals) {
  ByteEncoder encoder;
  encoder.mark_assistant = false;
  EXPECT_EQ(built(chat({{"user", "q"}, {"assistant", "a"}}), {}, encoder),
            "nothing supervised: none of its 7 tokens carries a label");
  encoder.refused = "q";
  EXPECT_EQ(built(chat({{"user", "q"}, {"assistant", "a"}}), {}, encoder), "refused by the template: refused");
}

TEST(MicroBatch, ShiftsLabelsWithinSegments) {
  MicroBatch batch;
  batch.append({{1, 10, 11, 2}, {0, 0, 1, 1}, {0, 5}, false});
  batch.append({{1, 20}, {0, 1}, {1, 6}, false});
  batch.append({{30}, {0}, {1, 7}, false});
  EXPECT_EQ(batch.ids, (std::vector<int32_t>{1, 10, 11, 2, 1, 20, 30}));
  EXPECT_EQ(batch.labels, (std::vector<int32_t>{kNoLabel, 11, 2, kNoLabel, 20, kNoLabel, kNoLabel}));
  EXPECT_EQ(batch.positions, (std::vector<int32_t>{0, 1, 2, 3, 0, 1, 0}));
  EXPECT_EQ(batch.segment_begin, (std::vector<int32_t>{0, 4, 6, 7}));
  EXPECT_EQ(batch.supervised, 3);
  EXPECT_EQ(batch.sources, (std::vector<SourceRow>{{0, 5}, {1, 6}, {1, 7}}));
}

TEST(Packing, LosesAndDuplicatesNothing) {
  const Rng rng{11, 1, 0};
  for (uint64_t round = 0; round < 300; ++round) {
    const auto capacity = static_cast<int64_t>(1 + rng.below(round * 4096, 200));
    std::vector<int64_t> lengths(rng.below(round * 4096 + 4, 300));
    for (size_t i = 0; i < lengths.size(); ++i) {
      lengths[i] = 1 + static_cast<int64_t>(rng.below(round * 4096 + 8 + 4 * i, static_cast<uint64_t>(capacity)));
    }
    const auto rows = pack(lengths, capacity);
    std::vector<int> seen(lengths.size(), 0);
    uint32_t previous_first = 0;
    int64_t half_empty = 0;
    for (const auto& row : rows) {
      ASSERT_FALSE(row.empty());
      EXPECT_TRUE(std::is_sorted(row.begin(), row.end()));
      EXPECT_GE(row.front(), previous_first);
      previous_first = row.front();
      int64_t sum = 0;
      for (const uint32_t sample : row) {
        ++seen[sample];
        sum += lengths[sample];
      }
      EXPECT_LE(sum, capacity);
      half_empty += 2 * sum <= capacity;
    }
    EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
    EXPECT_LE(half_empty, 1);  // two half-empty rows would have been one
    EXPECT_EQ(pack(lengths, capacity), rows);
  }
}

}  // namespace
}  // namespace hone::data
