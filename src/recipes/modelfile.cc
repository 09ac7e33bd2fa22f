#include "recipes/modelfile.h"

#include <algorithm>

#include "base/error.h"

namespace hone::recipes {
namespace {

constexpr std::string_view kSystem = "\x01SYSTEM\x01", kUser = "\x01USER\x01", kAnswer = "\x01ANSWER\x01";

// What a template writes before and after each message.
struct Turns {
  std::string before_system, after_system, before_user, after_user, before_answer, after_answer;
};

[[noreturn]] void cannot(const ModelFiles& files) {
  throw Error(ErrorCode::kUnsupported, files.chat ? files.chat->where() : files.source->path().string(),
              files.chat ? "this chat template does not write system, user and assistant in turn" : "the model has no chat template",
              "write the TEMPLATE of the Modelfile by hand");
}

Turns turns_of(const ModelFiles& files) {
  if (!files.chat) cannot(files);
  const auto message = [](const char* role, std::string_view content) { return text::Json{{"role", role}, {"content", std::string(content)}}; };
  const text::Json all = {message("system", kSystem), message("user", kUser), message("assistant", kAnswer)};
  const std::string text = files.chat->render(all, files.render_options());
  const size_t system = text.find(kSystem), user = text.find(kUser), answer = text.find(kAnswer);
  if (system == std::string::npos || user == std::string::npos || answer == std::string::npos || !(system < user && user < answer)) cannot(files);
  Turns turns;
  turns.before_system = text.substr(0, system);
  if (files.tokenizer.adds_bos() && text.starts_with(files.bos_token)) turns.before_system.erase(0, files.bos_token.size());  // Ollama's runner adds it
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
  size_t common = 0;
  while (common < between.size() && common < later.size() && between[between.size() - 1 - common] == later[later.size() - 1 - common]) ++common;
  const std::string after_answer = text.substr(answer + kAnswer.size());
  // What ends both turns alike (an end-of-turn token) belongs to the turns, not to the beginning of the next.
  size_t ends_alike = 0;
  while (ends_alike < between.size() && ends_alike < after_answer.size() && between[ends_alike] == after_answer[ends_alike]) ++ends_alike;
  common = std::min(common, between.size() - ends_alike);
  turns.after_system = between.substr(0, between.size() - common);
  turns.before_user = between.substr(between.size() - common);
  turns.after_user = text.substr(user + kUser.size(), answer - user - kUser.size());
  turns.after_answer = after_answer;
  // The words that open the answer also stand where there is no prompt.
  const text::Json asked = {message("system", kSystem), message("user", kUser)};
  text::RenderOptions open = files.render_options();
  const std::string closed = files.chat->render(asked, open);
  open.add_generation_prompt = true;
  const std::string opened = files.chat->render(asked, open);
  if (opened.starts_with(closed)) turns.before_answer = opened.substr(closed.size());
  if (turns.after_user.ends_with(turns.before_answer)) turns.after_user.resize(turns.after_user.size() - turns.before_answer.size());
  else turns.before_answer.clear();
  return turns;
}

}  // namespace

std::string modelfile(const ModelFiles& files, const std::string& from, const std::string& adapter) {
  const Turns t = turns_of(files);
  std::string out = "FROM " + from + "\n";
  if (!adapter.empty()) out += "ADAPTER " + adapter + "\n";
  out += fmt::format("TEMPLATE \"\"\"{{{{ if .System }}}}{}{{{{ .System }}}}{}{{{{ end }}}}{{{{ if .Prompt }}}}{}{{{{ .Prompt }}}}{}{{{{ end }}}}{}{{{{ .Response }}}}{}\"\"\"\n",
                     t.before_system, t.after_system, t.before_user, t.after_user, t.before_answer, t.after_answer);
  for (const int32_t id : files.stop_ids) out += fmt::format("PARAMETER stop \"{}\"\n", files.tokenizer.token_bytes(id));
  return out;
}

}  // namespace hone::recipes
