#include "data/config.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace hone::data {
namespace {

template <class Enum>
struct Word {
  std::string_view word;
  Enum value;
};

// The first word of each value is its name; the others are aliases.
constexpr std::array<Word<Container>, 6> kContainers = {{{"auto", Container::kAuto},
                                                         {"jsonl", Container::kJsonl},
                                                         {"ndjson", Container::kJsonl},
                                                         {"json", Container::kJson},
                                                         {"csv", Container::kCsv},
                                                         {"tsv", Container::kCsv}}};
constexpr std::array<Word<Format>, 10> kFormats = {{{"auto", Format::kAuto},
                                                    {"messages", Format::kMessages},
                                                    {"openai", Format::kMessages},
                                                    {"chatml", Format::kMessages},
                                                    {"alpaca", Format::kAlpaca},
                                                    {"sharegpt", Format::kShareGpt},
                                                    {"prompt_completion", Format::kPromptCompletion},
                                                    {"prompt/completion", Format::kPromptCompletion},
                                                    {"completion", Format::kPromptCompletion},
                                                    {"text", Format::kText}}};
constexpr std::array<Word<TrainOn>, 5> kTrainOn = {{{"assistant", TrainOn::kAssistant},
                                                    {"completion", TrainOn::kAssistant},
                                                    {"last", TrainOn::kLast},
                                                    {"all", TrainOn::kAll},
                                                    {"everything", TrainOn::kAll}}};
constexpr std::array<Word<CutOffPolicy>, 6> kPolicies = {{{"truncate_prompt_start", CutOffPolicy::kTruncatePromptStart},
                                                          {"truncate", CutOffPolicy::kTruncatePromptStart},
                                                          {"drop", CutOffPolicy::kDrop},
                                                          {"skip", CutOffPolicy::kDrop},
                                                          {"refuse", CutOffPolicy::kRefuse},
                                                          {"error", CutOffPolicy::kRefuse}}};

constexpr std::array<Word<EdgeTurns>, 3> kEdgeTurns = {{{"keep", EdgeTurns::kKeep}, {"trim", EdgeTurns::kTrim}, {"drop", EdgeTurns::kDrop}}};
constexpr std::array<Word<RepeatedTurns>, 3> kRepeatedTurns = {{{"keep", RepeatedTurns::kKeep}, {"merge", RepeatedTurns::kMerge}, {"drop", RepeatedTurns::kDrop}}};

template <class Words, class Enum>
std::string_view name_in(const Words& words, Enum value) {
  for (const auto& row : words) {
    if (row.value == value) return row.word;
  }
  return "unknown";
}

template <class Words>
auto parse_in(const Words& words, std::string_view word, std::string_view where, std::string_view what) {
  std::vector<std::string> known;
  std::string list;
  for (const auto& row : words) {
    if (row.word == word) return row.value;
    known.emplace_back(row.word);
    list += (list.empty() ? "" : ", ") + std::string(row.word);
  }
  const std::string close = nearest(word, known);
  throw Error(ErrorCode::kInvalidInput, std::string(where), fmt::format("unknown {} \"{}\"", what, word),
              close.empty() ? "known: " + list : fmt::format("did you mean \"{}\"? Known: {}", close, list));
}

}  // namespace

std::string_view name(Container value) { return name_in(kContainers, value); }
std::string_view name(Format value) { return name_in(kFormats, value); }
std::string_view name(TrainOn value) { return name_in(kTrainOn, value); }
std::string_view name(CutOffPolicy value) { return name_in(kPolicies, value); }
std::string_view name(EdgeTurns value) { return name_in(kEdgeTurns, value); }
std::string_view name(RepeatedTurns value) { return name_in(kRepeatedTurns, value); }

Container parse_container(std::string_view word, std::string_view where) {
  return parse_in(kContainers, word, where, "file type");
}
Format parse_format(std::string_view word, std::string_view where) {
  return parse_in(kFormats, word, where, "data format");
}
TrainOn parse_train_on(std::string_view word, std::string_view where) {
  return parse_in(kTrainOn, word, where, "train_on value");
}
CutOffPolicy parse_cut_off_policy(std::string_view word, std::string_view where) {
  return parse_in(kPolicies, word, where, "cut-off policy");
}
EdgeTurns parse_edge_turns(std::string_view word, std::string_view where) { return parse_in(kEdgeTurns, word, where, "word"); }
RepeatedTurns parse_repeated_turns(std::string_view word, std::string_view where) {
  return parse_in(kRepeatedTurns, word, where, "word");
}

int64_t BadRowLimit::allowed(int64_t rows) const {
  if (unit == Unit::kCount) return static_cast<int64_t>(value);
  return static_cast<int64_t>(std::floor(value * static_cast<double>(rows)));
}

BadRowLimit parse_bad_row_limit(std::string_view word, std::string_view where) {
  const bool percent = word.ends_with('%');
  const std::string_view digits = percent ? word.substr(0, word.size() - 1) : word;
  const bool point = digits.find('.') != std::string_view::npos;
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool number = error == std::errc() && end == digits.data() + digits.size() && std::isfinite(value) && value >= 0;
  if (number && percent && value <= 100) return {BadRowLimit::Unit::kShare, value / 100};
  if (number && !percent && point && value <= 1) return {BadRowLimit::Unit::kShare, value};
  if (number && !percent && !point && value <= 1e15) return {BadRowLimit::Unit::kCount, value};
  throw Error(ErrorCode::kInvalidInput, std::string(where), fmt::format("\"{}\" is not a limit for bad rows", word),
              "write a share such as 1% or 0.01, or a number of rows such as 100");
}

}  // namespace hone::data
