#include "recipes/run_chat.h"

#include <array>

#include "base/error.h"
#include "base/file.h"
#include "io/atomic_file.h"

namespace hone::recipes {
namespace {

constexpr const char* kFile = "chat.json";
constexpr const char* kTemplateFile = "chat_template.jinja";
constexpr const char* kKey = "hone.chat.reasoning";
constexpr const char* kTemplateKey = "tokenizer.chat_template";
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

std::optional<Reasoning> reasoning_named(std::string_view word) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (word == kNames[i]) return static_cast<Reasoning>(i);
  return std::nullopt;
}

Reasoning reasoning_of(const io::Gguf& gguf, const std::string& where) {
  const auto word = gguf.find_string(kKey);
  if (!word) return Reasoning::kUnknown;
  const auto reasoning = reasoning_named(*word);
  if (!reasoning)
    throw Error(ErrorCode::kInvalidInput, where,
                fmt::format("{}: expected none, some or all, found \"{}\"", kKey, *word), "export the model again");
  return *reasoning;
}

Reasoning reasoning_of(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kFile;
  if (!std::filesystem::exists(file)) return Reasoning::kUnknown;
  const auto json = nlohmann::json::parse(read_file(file, 1 << 20), nullptr, /*allow_exceptions=*/false);
  // A file of this name that says something else belongs to somebody else.
  if (!json.is_discarded() && !(json.is_object() && json.contains("reasoning"))) return Reasoning::kUnknown;
  const auto word = json.is_object() ? json["reasoning"] : nlohmann::json();
  if (const auto reasoning = reasoning_named(word.is_string() ? word.get_ref<const std::string&>() : "")) return *reasoning;
  throw Error(ErrorCode::kInvalidInput, file.string(), "expected {\"reasoning\": \"none\", \"some\" or \"all\"}",
              "delete the file: it only says how the model is asked by default");
}

std::optional<std::string> source_of(const std::optional<text::ChatTemplate>& chat) {
  return chat ? std::optional(chat->source()) : std::nullopt;
}

}  // namespace

RunChat run_chat_of(const ModelFiles& files, const data::DataReport& report) {
  RunChat chat{.reasoning = Reasoning::kUnknown, .chat_template = source_of(files.chat)};
  const TurnCounts counts = turns_of(report);
  if (counts.turns == 0) return chat;
  if (counts.reasoned == 0) chat.reasoning = Reasoning::kNone;
  else chat.reasoning = counts.reasoned == counts.turns ? Reasoning::kAll : Reasoning::kSome;
  return chat;
}

RunChat run_chat_of(const ModelFiles& files) {
  return {.reasoning = files.taught.reasoning, .chat_template = source_of(files.chat)};
}

void write_run_chat(const std::filesystem::path& folder, const RunChat& chat) {
  if (chat.chat_template) io::write_file(folder / kTemplateFile, *chat.chat_template);
  if (chat.reasoning == Reasoning::kUnknown) return;
  const nlohmann::ordered_json json = {{"reasoning", kNames[static_cast<size_t>(chat.reasoning)]}};
  io::write_file(folder / kFile, json.dump(1) + "\n");
}

RunChat read_run_chat(const std::filesystem::path& result) {
  if (result.empty()) return {};
  if (std::filesystem::is_directory(result))
    return {.reasoning = reasoning_of(result), .chat_template = text::chat_template_of_directory(result)};
  const io::Gguf gguf = io::Gguf::open(result);
  return {.reasoning = reasoning_of(gguf, result.string()), .chat_template = gguf.find_string(kTemplateKey)};
}

io::GgufMetadata run_chat_metadata(const RunChat& chat) {
  io::GgufMetadata metadata;
  if (chat.chat_template) metadata.emplace_back(kTemplateKey, *chat.chat_template);
  if (chat.reasoning != Reasoning::kUnknown)
    metadata.emplace_back(kKey, std::string(kNames[static_cast<size_t>(chat.reasoning)]));
  return metadata;
}

RunChat carried_run_chat(const models::ModelSource& source, const std::optional<store::StoredModel>& stored) {
  RunChat chat;
  if (stored && !stored->adapters.empty()) chat = read_run_chat(stored->adapters.front());
  if (chat.reasoning != Reasoning::kUnknown) return chat;
  const io::Gguf* gguf = source.gguf();
  chat.reasoning = gguf ? reasoning_of(*gguf, source.path().string()) : reasoning_of(source.path());
  return chat;
}

void take_run_chat(ModelFiles& files, const RunChat& chat) {
  if (chat.chat_template && !files.template_given && source_of(files.chat) != chat.chat_template) {
    files.chat = text::ChatTemplate::parse(*chat.chat_template, "chat template of what was trained");
    files.study_template();
    files.notes.push_back("the chat template that the adapter or run was trained with is used");
    files.note_missing_marks();
  }
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
