#include "recipes/model_files.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/path.h"
#include "base/text_encoding.h"
#include "io/atomic_file.h"
#include "recipes/gguf_vocab.h"
#include "recipes/modelfile.h"
#include "recipes/run_chat.h"
#include "store/hub.h"
#include "store/parameters.h"
#include "text/ollama_template.h"
#include "text/tokenizer_config.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;

text::Tokenizer tokenizer_of(const models::ModelSource& source, std::vector<std::string>& notes) {
  if (const io::Gguf* gguf = source.gguf()) return text::Tokenizer::from_gguf(gguf_vocab(*gguf), source.path().string());
  const fs::path file = source.path() / "tokenizer.json";
  if (!fs::exists(file))
    throw Error(ErrorCode::kNotFound, source.path().string(), "holds no tokenizer.json",
                "copy it from where the model was published; tokenizer.model files are converted by transformers' save_pretrained");
  const text::Tokenizer tokenizer = text::Tokenizer::from_file(file);
  for (std::string& note : text::check_tokenizer_config(source.path() / "tokenizer_config.json", tokenizer)) notes.push_back(std::move(note));
  return tokenizer;
}

// `carried`: that of the adapter which a stored model has.
std::optional<text::ChatTemplate> template_of(const models::ModelSource& source, const std::string& wanted,
                                              const std::optional<std::string>& carried) {
  if (!wanted.empty()) {
    const std::string path = expanded_path(wanted, "chat template");
    if (fs::exists(path)) return text::ChatTemplate::parse(read_text(path, 1 << 20), path);
    return text::ChatTemplate::parse(text::chat_template_by_name(wanted), wanted);
  }
  const std::string where = source.path().string() + ": chat template";
  if (carried) return text::ChatTemplate::parse(*carried, where);
  std::optional<std::string> found;
  if (const io::Gguf* gguf = source.gguf()) found = gguf->find_string("tokenizer.chat_template");
  else found = text::chat_template_of_directory(source.path());
  if (!found) return std::nullopt;
  return text::ChatTemplate::parse(*found, where);
}

// The marks that a template's text holds, each once: <|im_start|>, <｜User｜> and their like.
std::vector<std::string> marks_in(std::string_view source) {
  constexpr size_t kLongest = 64;  // bytes of a mark's name
  const auto in_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0; };
  std::vector<std::string> marks;
  for (const std::string_view bar : {"|", "｜"})
    for (size_t at = source.find('<'); at != std::string_view::npos; at = source.find('<', at + 1)) {
      if (source.substr(at + 1, bar.size()) != bar) continue;
      const size_t begin = at + 1 + bar.size(), end = source.find(bar, begin);
      if (end == std::string_view::npos || end == begin || end - begin > kLongest) continue;
      const std::string_view name = source.substr(begin, end - begin);
      if (source.substr(end + bar.size(), 1) != ">" || !std::all_of(name.begin(), name.end(), in_name)) continue;
      std::string mark(source.substr(at, end + bar.size() + 1 - at));
      if (std::find(marks.begin(), marks.end(), mark) == marks.end()) marks.push_back(std::move(mark));
    }
  return marks;
}

// The TEMPLATE of a named model, unless it only says in Ollama's words what the model's own template says.
void take_stored_template(ModelFiles& files) {
  const std::string where = files.stored->name.shortest() + ": TEMPLATE";
  try {
    if (files.chat && modelfile(files).chat_template == files.stored->chat_template) return;
  } catch (const Error&) {
    // The model's own template cannot be told in Ollama's words: then they differ.
  }
  try {
    std::string jinja = text::jinja_of_ollama(*files.stored->chat_template, where);
    if (files.tokenizer.adds_bos()) jinja = "{{ bos_token }}" + jinja;  // which Ollama's runner writes
    files.chat = text::ChatTemplate::parse(std::move(jinja), where);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal || error.code() == ErrorCode::kOutOfMemory) throw;
    files.notes.push_back(fmt::format("{} is passed over, {}: {}", error.where(), files.chat ? "the model's own chat template is used" : "the prompt goes in as it is", error.message()));
  }
}

}  // namespace

text::RenderOptions ModelFiles::render_options() const {
  text::RenderOptions options;
  options.bos_token = bos_token;
  options.eos_token = eos_token;
  return options;
}

nlohmann::ordered_json ModelFiles::parameters(std::vector<std::string>& told) const {
  nlohmann::ordered_json all = source ? models::parameters_of(source->generation()) : nlohmann::ordered_json::object();
  if (stored && stored->parameters.is_object()) all.update(stored->parameters);
  return store::usable_parameters(all, told);
}

void ModelFiles::study_template() {
  thinks = tokenizer.token_id("<think>").has_value();
  reasoning = {};
  lead.clear();
  end_of_turn = -1;
  if (!chat) return;
  reasoning = text::reasoning_form(*chat, render_options());
  thinks = thinks || reasoning.known;
  try {
    // The token that the template puts after an answer.
    const text::Json turn = text::Json::parse(R"([{"role":"user","content":"x"},{"role":"assistant","content":"y"}])");
    const auto learned = text::learned_turn(*chat, reasoning, turn, render_options());
    if (!learned) return;
    const std::string_view answer = std::string_view(learned->text).substr(learned->begin);
    const size_t words = answer.find_first_not_of(" \t\r\n");
    if (words != std::string_view::npos && answer[words] == 'y') lead = answer.substr(0, words);
    const auto ids = tokenizer.encode(std::string_view(learned->text).substr(learned->begin), {.add_special = false});
    if (ids.empty() || !tokenizer.is_special(ids.back())) return;
    end_of_turn = ids.back();
    if (std::find(stop_ids.begin(), stop_ids.end(), end_of_turn) == stop_ids.end()) stop_ids.push_back(end_of_turn);
  } catch (const Error&) {
    // A template that refuses this conversation says nothing about its end of turn.
  }
}

void ModelFiles::note_missing_marks() {
  if (!chat) return;
  std::vector<std::string> missing = marks_in(chat->source());
  std::erase_if(missing, [&](const std::string& mark) { return tokenizer.token_id(mark).has_value(); });
  if (missing.empty()) return;
  notes.push_back(fmt::format("the chat template writes {}, which this model has no token for: such marks are spelled in "
                              "pieces, and answers may not end; better take the template of the model's family",
                              fmt::join(missing, ", ")));
}

ModelFiles::TurnPrompt ModelFiles::turn_prompt(const text::Json& messages, const text::RenderOptions& options, std::optional<bool> wanted) const {
  if (!chat) {
    std::string prompt;
    for (const auto& message : messages) prompt += message.value("content", "");
    return {encode_text(prompt), false};
  }
  const text::TurnPrompt prompt = text::turn_prompt(*chat, reasoning, messages, options, wanted ? wanted : think);
  return {encode_pieces(prompt.text, prompt.words, prompt.cuts), prompt.inside};
}

std::vector<int32_t> ModelFiles::encode_pieces(std::string_view piece, const std::vector<std::pair<size_t, size_t>>& plain, const std::vector<size_t>& cuts) const {
  std::vector<int32_t> ids;
  const auto add = [&](size_t begin, size_t end) {
    std::vector<std::pair<size_t, size_t>> within;
    for (const auto& [from, to] : plain)
      if (from < end && to > begin) within.emplace_back(std::max(from, begin) - begin, std::min(to, end) - begin);
    const auto some = tokenizer.encode(piece.substr(begin, end - begin), {.add_special = false, .plain = within});
    ids.insert(ids.end(), some.begin(), some.end());
  };
  size_t begin = 0;
  for (const size_t cut : cuts) {
    if (cut > begin) add(begin, cut);
    begin = cut;
  }
  if (begin < piece.size()) add(begin, piece.size());
  return ids;
}

std::vector<int32_t> ModelFiles::encode_text(std::string_view text) const {
  auto ids = tokenizer.encode(text, {.add_special = false});
  if (tokenizer.adds_bos() && tokenizer.bos() >= 0 && (ids.empty() || ids.front() != tokenizer.bos())) ids.insert(ids.begin(), tokenizer.bos());
  return ids;
}

FoundModel find_model(const std::string& given) {
  const std::string name = expanded_path(given, given);
  if (name.empty())
    throw Error(ErrorCode::kInvalidInput, "model.base", "no model is named", "write model: {base: path/to/model.gguf}");
  std::vector<fs::path> places = {name};
  std::string file = name;
  std::replace(file.begin(), file.end(), ':', '-');
  const fs::path root = store::ModelStore::default_root();
  for (const char* ending : {"", ".gguf"}) places.push_back(root / (file + ending));
  for (const fs::path& place : places)
    if (fs::exists(place)) return {place, std::nullopt, {}};
  const auto wanted = store::try_name(name);
  const auto like_a_file = [&] { return name.ends_with(".gguf") || name.ends_with(".safetensors"); };
  if (!wanted || name.front() == '.' || (like_a_file() && !store::Library().find(*wanted)))
    throw Error(ErrorCode::kNotFound, name, fmt::format("no such model: there is neither such a path nor {}[.gguf]", (root / file).string()),
                "give the path of a GGUF file or a Hugging Face folder, or a name that hone list shows");
  const store::Library library;
  const auto found = library.find(*wanted);
  // A repository of the hub that lies in its cache, whoever fetched it: hf.co/org/repo, or org/repo for short.
  const bool repository = wanted->tag == store::kDefaultTag && (wanted->on_hub() || (wanted->host == store::kDefaultHost && wanted->space != store::kDefaultNamespace));
  if (!found && repository)
    if (const auto snapshot = store::cached_snapshot(wanted->space, wanted->model)) return {*snapshot, std::nullopt, {}};
  if (!found)
    try {
      library.open(*wanted);
    } catch (const Error& error) {
      throw Error(error.code(), name, fmt::format("no such model: there is neither such a path nor such a name in {}", root.string()), error.hint());
    }
  store::StoredModel stored = library.open(*wanted);
  FoundModel model{stored.weights, std::move(stored), {}};
  if (found != wanted) model.notes.push_back(fmt::format("{} is published as {}, which is used", wanted->shortest(), found->shortest()));
  return model;
}

ModelFiles open_model(const std::string& base, const std::string& chat_template, TemplateChoice choice) {
  FoundModel found = find_model(base);
  auto source = models::ModelSource::open(found.path);
  found.notes.insert(found.notes.end(), source->notes().begin(), source->notes().end());
  text::Tokenizer tokenizer = tokenizer_of(*source, found.notes);
  const RunChat carried = carried_run_chat(*source, found.stored);
  auto chat = template_of(*source, chat_template, carried.chat_template);
  ModelFiles files{source, tokenizer, std::move(chat), {}, {}, {}, -1, std::move(found.stored), std::move(found.notes)};
  files.template_given = !chat_template.empty();
  if (tokenizer.bos() >= 0) files.bos_token = tokenizer.token_bytes(tokenizer.bos());
  if (tokenizer.eos() >= 0) files.eos_token = tokenizer.token_bytes(tokenizer.eos());
  // Beside the name of a renderer, which is Ollama's own code, a TEMPLATE is only what older versions of it would have made of the prompt.
  const bool rendered = files.stored && !files.stored->facts.renderer.empty();
  if (chat_template.empty() && files.stored && files.stored->chat_template && (!files.chat || (choice == TemplateChoice::kStored && !rendered))) take_stored_template(files);
  if (rendered && chat_template.empty())
    files.notes.push_back(fmt::format("{} is written for Ollama's renderer {}: prompts are made by {}", files.stored->name.shortest(), files.stored->facts.renderer, files.chat ? "the chat template " + files.chat->where() : "no template at all"));
  for (const int64_t id : source->config().eos_ids) files.stop_ids.push_back(static_cast<int32_t>(id));
  if (tokenizer.eos() >= 0) files.stop_ids.push_back(tokenizer.eos());
  std::sort(files.stop_ids.begin(), files.stop_ids.end());
  files.stop_ids.erase(std::unique(files.stop_ids.begin(), files.stop_ids.end()), files.stop_ids.end());
  files.study_template();
  take_run_chat(files, {.reasoning = carried.reasoning});
  if (files.template_given) files.note_missing_marks();
  return files;
}

}  // namespace hone::recipes
