#include "recipes/modelfile.h"

#include <algorithm>

#include "base/error.h"
#include "store/parameters.h"

namespace hone::recipes {
namespace {

constexpr std::string_view kSystem = "\x01SYSTEM\x01", kUser = "\x01USER\x01", kAnswer = "\x01ANSWER\x01";

// What a template writes before and after each message.
struct Turns {
  std::string begin;  // of every conversation; Ollama's runner writes it for models that add it
  std::string before_system, after_system, before_user, after_user, before_answer, after_answer;
  std::string default_system;  // what the template says itself where there is no system message
};

[[noreturn]] void cannot(const ModelFiles& files) {
  throw Error(ErrorCode::kUnsupported, files.chat ? files.chat->where() : files.source->path().string(),
              files.chat ? "this chat template does not write system, user and assistant in turn" : "the model has no chat template",
              "write the TEMPLATE of the Modelfile by hand");
}

text::Json message(const char* role, std::string_view content) { return text::Json{{"role", role}, {"content", std::string(content)}}; }

// A conversation without a system message may still begin with one that the template brings along.
std::string default_system(const ModelFiles& files, const Turns& turns) {
  const std::string text = files.chat->render(text::Json::array({message("user", kUser)}), files.render_options());
  std::string_view before = std::string_view(text).substr(0, text.find(kUser));
  if (before.starts_with(turns.begin)) before.remove_prefix(turns.begin.size());
  const std::string after = turns.after_system + turns.before_user;
  if (before.size() <= turns.before_system.size() + after.size() || !before.starts_with(turns.before_system) || !before.ends_with(after)) return {};
  return std::string(before.substr(turns.before_system.size(), before.size() - turns.before_system.size() - after.size()));
}

Turns turns_of(const ModelFiles& files) {
  if (!files.chat) cannot(files);
  const text::Json all = {message("system", kSystem), message("user", kUser), message("assistant", kAnswer)};
  const std::string text = files.chat->render(all, files.render_options());
  const size_t system = text.find(kSystem), user = text.find(kUser), answer = text.find(kAnswer);
  if (system == std::string::npos || user == std::string::npos || answer == std::string::npos || !(system < user && user < answer)) cannot(files);
  Turns turns;
  turns.before_system = text.substr(0, system);
  // Between system and user, the end of one turn and the beginning of the next: cut where a user turn begins on its own.
  const std::string between = text.substr(system + kSystem.size(), user - system - kSystem.size());
  std::string later;
  {
    const text::Json two = {message("system", kSystem), message("user", "x"), message("assistant", kAnswer), message("user", kUser)};
    const std::string longer = files.chat->render(two, files.render_options());
    const size_t from = longer.find(kAnswer) + kAnswer.size(), to = longer.find(kUser);
    if (to == std::string::npos || to < from) cannot(files);
    later = longer.substr(from, to - from);
  }
  const std::string after_answer = text.substr(answer + kAnswer.size());
  // What ends both turns alike (an end-of-turn token) belongs to the turns, not to the beginning of the next; when an answer's end
  // is all that stands before the next user turn, the rest of it is that turn's beginning.
  size_t ends_alike = 0;
  while (ends_alike < between.size() && ends_alike < after_answer.size() && between[ends_alike] == after_answer[ends_alike]) ++ends_alike;
  size_t common = 0;
  if (later.starts_with(after_answer) && between.ends_with(later.substr(after_answer.size()))) {
    common = later.size() - after_answer.size();
  } else {
    while (common < between.size() && common < later.size() && between[between.size() - 1 - common] == later[later.size() - 1 - common]) ++common;
    common = std::min(common, between.size() - ends_alike);
  }
  turns.after_system = between.substr(0, between.size() - common);
  turns.before_user = between.substr(between.size() - common);
  // A begin token stands once, before the first turn, whoever speaks; where it also opens the user's turn it is no such token.
  const std::string& bos = files.bos_token;
  if (!bos.empty() && text.starts_with(bos) && !turns.before_user.starts_with(bos)) {
    turns.before_system.erase(0, bos.size());
    turns.begin = bos;
  }
  turns.after_user = text.substr(user + kUser.size(), answer - user - kUser.size());
  turns.after_answer = after_answer;
  // The words that open the answer also stand where there is no prompt. What the template adds to them for generation, such as
  // the opening of a thought, belongs to them.
  const text::Json asked = {message("system", kSystem), message("user", kUser)};
  text::RenderOptions open = files.render_options();
  const std::string closed = files.chat->render(asked, open);
  open.add_generation_prompt = true;
  const std::string opened = files.chat->render(asked, open);
  if (opened.starts_with(closed)) {
    const std::string opening = opened.substr(closed.size());
    // Where past answers follow after a space that the model writes itself ("Assistant: x" after "Assistant:"), it is left to it.
    const size_t at = opening.empty() ? std::string::npos : turns.after_user.rfind(opening);
    size_t shared = std::min(opening.size(), turns.after_user.size());
    if (at != std::string::npos && turns.after_user.find_first_not_of(' ', at + opening.size()) == std::string::npos) shared = turns.after_user.size() - at;
    else
      while (shared > 0 && !turns.after_user.ends_with(opening.substr(0, shared))) --shared;
    if (shared > 0) {
      turns.after_user.resize(turns.after_user.size() - shared);
      turns.before_answer = opening;
    }
  }
  turns.default_system = default_system(files, turns);
  return turns;
}

}  // namespace

store::Modelfile modelfile(const ModelFiles& files) {
  const Turns t = turns_of(files);
  store::Modelfile out;
  out.chat_template = fmt::format("{}{{{{ if .System }}}}{}{{{{ .System }}}}{}{{{{ end }}}}{{{{ if .Prompt }}}}{}{{{{ .Prompt }}}}{}{{{{ end }}}}{}{{{{ .Response }}}}{}",
                                  files.tokenizer.adds_bos() ? "" : t.begin, t.before_system, t.after_system, t.before_user, t.after_user, t.before_answer, t.after_answer);
  if (!t.default_system.empty()) out.system = t.default_system;
  if (files.source) out.parameters = models::parameters_of(files.source->generation());
  for (const int32_t id : files.stop_ids) store::set_parameter(out.parameters, "stop", files.tokenizer.token_bytes(id), "stop");
  return out;
}

std::string modelfile(const ModelFiles& files, const std::string& from, const std::string& adapter, const std::optional<std::string>& system) {
  store::Modelfile file = modelfile(files);
  file.from = from;
  if (system) file.system = system;
  if (!adapter.empty()) file.adapters.push_back(adapter);
  return store::to_text(file);
}

}  // namespace hone::recipes
