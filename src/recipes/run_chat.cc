#include "recipes/run_chat.h"

#include <array>

#include "base/error.h"
#include "base/file.h"
#include "io/atomic_file.h"

namespace hone::recipes {
namespace {

constexpr const char* kFile = "chat.json";
constexpr std::array<const char*, 4> kNames = {"unknown", "none", "some", "all"};

struct TurnCounts {
  int64_t turns = 0, reasoned = 0, rows = 0, samples = 0;
};

TurnCounts turns_of(const data::DataReport& report) {
  TurnCounts counts;
  for (const data::DatasetReport& dataset : report.datasets) {
    if (dataset.learned_turns == 0) continue;  // no chats
    counts.turns += dataset.learned_turns;
    counts.reasoned += dataset.reasoned_turns;
    counts.samples += dataset.samples;
    counts.rows += dataset.rows - static_cast<int64_t>(dataset.problems.total());
  }
  return counts;
}

}  // namespace

RunChat run_chat_of(const data::DataReport& report) {
  const TurnCounts counts = turns_of(report);
  if (counts.turns == 0) return {};
  if (counts.reasoned == 0) return {Reasoning::kNone};
  return {counts.reasoned == counts.turns ? Reasoning::kAll : Reasoning::kSome};
}

void write_run_chat(const std::filesystem::path& folder, const RunChat& chat) {
  if (chat.reasoning == Reasoning::kUnknown) return;
  const nlohmann::ordered_json json = {{"reasoning", kNames[static_cast<size_t>(chat.reasoning)]}};
  io::write_file(folder / kFile, json.dump(1) + "\n");
}

RunChat read_run_chat(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kFile;
  if (folder.empty() || !std::filesystem::exists(file)) return {};
  const auto json = nlohmann::json::parse(read_file(file, 1 << 20), nullptr, /*allow_exceptions=*/false);
  for (size_t i = 0; i < kNames.size(); ++i)
    if (json.is_object() && json.value("reasoning", nlohmann::json()) == kNames[i]) return {static_cast<Reasoning>(i)};
  throw Error(ErrorCode::kInvalidInput, file.string(), "expected {\"reasoning\": \"none\", \"some\" or \"all\"}", "delete the file: it only says how the model is asked by default");
}

void take_run_chat(ModelFiles& files, const RunChat& chat) {
  if (chat.reasoning == Reasoning::kUnknown) return;
  const bool reasons = chat.reasoning != Reasoning::kNone;
  files.thinks = files.thinks || reasons;
  files.think.reset();
  if (chat.reasoning == Reasoning::kAll && files.reasoning.closed) files.think = true;
  if (!reasons && files.reasoning.known && !files.reasoning.closed) files.think = false;
}

std::vector<std::string> chat_notes(const ModelFiles& files, const data::DataReport& report) {
  const TurnCounts counts = turns_of(report);
  std::vector<std::string> notes;
  if (counts.turns == 0) return notes;
  const char* behind = files.reasoning.opens ? "behind a closed <think> block" : "without reasoning";
  if (counts.reasoned == counts.turns) notes.push_back("every answer is learned with its reasoning (<think> … </think>)");
  else if (counts.reasoned > 0) notes.push_back(fmt::format("{} of {} answers are learned with their reasoning (<think> … </think>), the others {}", counts.reasoned, counts.turns, behind));
  else if (files.reasoning.known) notes.push_back(fmt::format("the rows hold no reasoning: answers are learned {}, and the result is asked so where nobody says otherwise", behind));
  if (report.measured && counts.samples > counts.rows)
    notes.push_back(fmt::format("{} chats become {} samples: the template asks for an answer in another form than it writes earlier ones in (data.train_on: last learns the last answer alone)", counts.rows, counts.samples));
  return notes;
}

}  // namespace hone::recipes
