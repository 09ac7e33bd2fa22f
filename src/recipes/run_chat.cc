#include "recipes/run_chat.h"

#include <array>

#include "base/error.h"
#include "base/file.h"
#include "io/atomic_file.h"

namespace hone::recipes {
namespace {

constexpr const char* kFile = "chat.json";
constexpr const char* kKey = "hone.chat.reasoning";
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

std::optional<RunChat> chat_named(std::string_view word) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (word == kNames[i]) return RunChat{static_cast<Reasoning>(i)};
  return std::nullopt;
}

RunChat run_chat_of(const io::Gguf& gguf, const std::string& where) {
  const auto word = gguf.find_string(kKey);
  if (!word) return {};
  const auto chat = chat_named(*word);
  if (!chat)
    throw Error(ErrorCode::kInvalidInput, where,
                fmt::format("{}: expected none, some or all, found \"{}\"", kKey, *word), "export the model again");
  return *chat;
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
  // A file of this name that says something else belongs to somebody else.
  if (!json.is_discarded() && !(json.is_object() && json.contains("reasoning"))) return {};
  const auto word = json.is_object() ? json["reasoning"] : nlohmann::json();
  if (const auto chat = chat_named(word.is_string() ? word.get_ref<const std::string&>() : "")) return *chat;
  throw Error(ErrorCode::kInvalidInput, file.string(), "expected {\"reasoning\": \"none\", \"some\" or \"all\"}", "delete the file: it only says how the model is asked by default");
}

io::GgufMetadata run_chat_metadata(const RunChat& chat) {
  if (chat.reasoning == Reasoning::kUnknown) return {};
  return {{kKey, std::string(kNames[static_cast<size_t>(chat.reasoning)])}};
}

RunChat carried_run_chat(const ModelFiles& files) {
  RunChat chat;
  if (files.stored && !files.stored->adapters.empty()) {
    const std::filesystem::path& adapter = files.stored->adapters.front();
    chat = run_chat_of(io::Gguf::open(adapter), adapter.string());
  }
  if (chat.reasoning != Reasoning::kUnknown) return chat;
  if (const io::Gguf* gguf = files.source->gguf()) return run_chat_of(*gguf, files.source->path().string());
  return read_run_chat(files.source->path());
}

void take_run_chat(ModelFiles& files, const RunChat& chat) {
  if (chat.reasoning == Reasoning::kUnknown) return;
  files.taught = chat;
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
