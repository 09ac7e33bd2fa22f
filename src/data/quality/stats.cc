#include "data/quality/stats.h"

#include <algorithm>

#include "data/quality/row_text.h"
#include "data/sample_builder.h"

namespace hone::data {

uint32_t characters_of(std::string_view text) {
  return static_cast<uint32_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

RowStats stats_of(const Rows& rows, const Encoder* encoder, const std::function<bool()>& stop) {
  struct Sizes {
    uint32_t prompt = 0, answer = 0, turns = 0, tokens = 0, learned = 0;
  };
  std::vector<Sizes> sizes(rows.size());
  rows.each([&](const ReadRow& row, size_t) {
    const RowText text = text_of(row.example);
    Sizes& s = sizes[row.number];
    s.prompt = characters_of(text.prompt), s.answer = characters_of(text.answer);
    s.turns = row.example.kind == Example::Kind::kChat ? static_cast<uint32_t>(row.example.messages.size()) : row.example.kind == Example::Kind::kCompletion ? 2 : 1;
    if (!encoder) return;
    std::vector<Sample> samples;
    if (build_samples(row.example, *encoder, {1 << 30, CutOffPolicy::kDrop, TrainOn::kAssistant}, {}, samples)) return;
    const SampleSizes size = sizes_of(samples);
    s.tokens = static_cast<uint32_t>(size.longest), s.learned = static_cast<uint32_t>(size.supervised);
  }, stop);
  RowStats stats;
  for (const Dataset& file : rows.files()) stats.files.push_back(file.report());
  std::vector<uint32_t> values;
  const auto collect = [&](const auto& value, const auto& counts) {
    values.clear();
    for (uint32_t row = 0; row < rows.size(); ++row)
      if (rows.usable(row) && counts(sizes[row])) values.push_back(value(sizes[row]));
    return lengths_of(values);
  };
  const auto all = [](const Sizes&) { return true; };
  const auto made = [](const Sizes& s) { return s.tokens > 0; };
  stats.characters = collect([](const Sizes& s) { return s.prompt + s.answer; }, all);
  stats.prompt_characters = collect([](const Sizes& s) { return s.prompt; }, all);
  stats.answer_characters = collect([](const Sizes& s) { return s.answer; }, all);
  stats.turns = collect([](const Sizes& s) { return s.turns; }, all);
  if (!encoder) return stats;
  stats.tokens = collect([](const Sizes& s) { return s.tokens; }, made);
  stats.learned_tokens = collect([](const Sizes& s) { return s.learned; }, made);
  stats.refused = stats.characters.rows - stats.tokens->rows;
  return stats;
}

}  // namespace hone::data
