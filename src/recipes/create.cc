#include "recipes/create.h"

#include <algorithm>

#include "base/error.h"
#include "base/path.h"
#include "io/atomic_file.h"
#include "models/adapter_start.h"
#include "recipes/export_gguf.h"
#include "recipes/modelfile.h"
#include "recipes/read_gguf_lora.h"
#include "recipes/run_chat.h"
#include "recipes/tuned_model.h"
#include "recipes/tuned_system.h"
#include "store/gguf_facts.h"
#include "text/ollama_template.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;
namespace media = store::media;

// Removes the file unless it has become a blob.
struct Scratch {
  fs::path path;
  ~Scratch() {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
};

class Creation {
 public:
  Creation(store::Library& library, const store::ModelName& name, const CreateOptions& options)
      : library_(library), store_(library.own()), name_(name), options_(options), lease_(store_.lease()) {}

  CreateResult run() {
    notes_ = options_.file.notes;
    options_.watch.report({fmt::format("reading {}", options_.file.from), {}, 0, 0});
    find_base();
    add_weights();
    add_adapters();
    add_words();
    options_.watch.check();
    options_.watch.report({"writing manifest", {}, 0, 0});
    store::Manifest manifest;
    manifest.layers = layers_;
    manifest.config = store_.add(lease_, media::kConfig, store::to_json(facts_, layers_));
    store_.put(lease_, name_, store::to_json(manifest));
    return {store::open_stored(store_, name_), std::move(notes_)};
  }

 private:
  fs::path path_of(const std::string& text) const {
    const fs::path path = expanded_path(text, "Modelfile");
    return path.is_absolute() ? path : options_.folder / path;
  }

  // FROM: a path that exists wins over a name. A run's folder stands for its base and its result.
  void find_base() {
    if (!options_.quantize.empty()) check_gguf_type(options_.quantize, "quantize");
    const std::string& from = options_.file.from;
    const fs::path path = path_of(from);
    std::string base = path.string();
    if (!fs::exists(path)) {
      const auto name = store::try_name(from);
      if (!name || from.front() == '.' || from.front() == '/')
        throw Error(ErrorCode::kNotFound, "FROM " + from, "there is no such file or folder", fmt::format("paths start from {}", options_.folder.string()));
      const store::StoredModel parent = library_.open(*name);  // refuses unknown names
      if (parent.name != *name && store::published_name(*name) == parent.name) notes_.push_back(fmt::format("{} is published as {}, which is used", name->shortest(), parent.name.shortest()));
      parent_ = parent;
      base = parent.weights.string();
    } else if (fs::exists(path / "config.yaml")) {
      const Config config = load_config(path / "config.yaml", {});
      tuned_ = tuned_folder(path);
      load_ = load_options(config);
      base = config.model.base;
      if (const FoundModel found = find_model(base); found.stored) {
        parent_ = found.stored;
        if (!parent_->adapters.empty()) throw Error(ErrorCode::kUnsupported, base, "has an adapter already", "merge the run: hone export RUN --format gguf");
      }
      if (!read_run_chat(tuned_).chat_template) chat_template_ = config.model.chat_template;  // a run of an earlier version
    }
    files_.emplace(open_model(base, chat_template_));
    notes_.insert(notes_.end(), files_->notes.begin(), files_->notes.end());
    files_->stored = parent_;  // with the adapter that belongs to it
    if (parent_) take_run_chat(*files_, carried_run_chat(*files_->source, parent_));
    if (!tuned_.empty()) teach(tuned_);
    check_template(template_ = options_.file.chat_template);
    load_.max_positions = 16;
    load_.base = models::BaseFormat::kAsStored;
  }

  // The template that a result was trained with, where it is another than the model's own, counts before the parent's TEMPLATE.
  void teach(const fs::path& result) {
    const std::string before = files_->chat ? files_->chat->source() : "";
    take_run_chat(*files_, read_run_chat(result));
    other_template_ |= files_->chat && files_->chat->source() != before;
  }

  bool full_weights() const { return !tuned_.empty() && !fs::exists(tuned_ / "adapter_config.json"); }

  void add_weights() {
    if (parent_ && options_.quantize.empty() && !full_weights()) {
      const store::ModelStore& from = *library_.holding(parent_->name);
      for (const store::Layer& layer : parent_->manifest.layers) {
        if (layer.media_type != media::kModel && layer.media_type != media::kProjector && layer.media_type != media::kAdapter) continue;
        if (layer.media_type == media::kAdapter && !options_.file.adapters.empty()) continue;
        store_.adopt(lease_, from, layer, options_.watch);
        layers_.push_back(layer);
      }
      facts_ = parent_->facts;
      return;
    }
    const io::Gguf* gguf = files_->source->gguf();
    if (gguf && options_.quantize.empty() && !full_weights()) {
      layers_.push_back(store_.add_file(lease_, media::kModel, files_->source->path(), options_.watch));
    } else {
      const std::string type = options_.quantize.empty() ? "f16" : options_.quantize;
      options_.watch.report({fmt::format("converting to {}", type), {}, 0, 0});
      if (parent_ && !parent_->adapters.empty() && options_.file.adapters.empty()) notes_.push_back(fmt::format("the adapter of {} was merged into the weights", parent_->name.shortest()));
      const Scratch scratch{store_.scratch(lease_)};
      models::CausalLm model = options_.file.adapters.empty() && !full_weights() ? load_tuned(*files_, load_, {}) : load_tuned(*files_->source, load_, full_weights() ? tuned_ : fs::path());
      for (std::string& note : write_merged_gguf(scratch.path, *files_, model, type, GgufReader::kHone)) notes_.push_back(std::move(note));
      options_.watch.check();
      layers_.push_back(store_.take(lease_, media::kModel, scratch.path));
    }
    facts_ = store::model_facts(io::Gguf::open(store_.blob_path(layers_.front().digest)));
  }

  void add_adapter(const fs::path& path) {
    if (fs::is_directory(path)) {
      const fs::path folder = tuned_folder(path);
      if (!system_) system_ = tuned_system(folder);
      if (!fs::exists(folder / "adapter_config.json"))
        throw Error(ErrorCode::kInvalidInput, "ADAPTER " + path.string(), "holds no LoRA adapter (adapter_config.json)", "name a PEFT folder, a run's folder or a GGUF adapter");
      const Scratch scratch{store_.scratch(lease_)};
      const io::LoraAdapter adapter = models::read_adapter(*files_->source, folder);
      teach(folder);
      notes_.insert(notes_.end(), adapter.notes.begin(), adapter.notes.end());
      for (std::string& note : write_gguf_lora(scratch.path, adapter, *files_->source, read_run_chat(folder)))
        notes_.push_back(std::move(note));
      layers_.push_back(store_.take(lease_, media::kAdapter, scratch.path));
      return;
    }
    if (!fs::exists(path)) throw Error(ErrorCode::kNotFound, "ADAPTER " + path.string(), "does not exist", "name a PEFT folder, a run's folder or a GGUF adapter");
    read_gguf_lora(path, *files_->source);  // refuses what does not fit this base
    teach(path);
    layers_.push_back(store_.add_file(lease_, media::kAdapter, path, options_.watch));
  }

  void add_adapters() {
    std::vector<fs::path> adapters;
    for (const std::string& adapter : options_.file.adapters) adapters.push_back(path_of(adapter));
    if (!tuned_.empty() && !full_weights()) adapters.push_back(tuned_);
    if (adapters.size() > 1) throw Error(ErrorCode::kUnsupported, "ADAPTER", fmt::format("{} adapters; a model takes one", adapters.size()), "merge one of them first: hone export RUN --format gguf");
    for (const fs::path& adapter : adapters) add_adapter(adapter);
  }

  // A TEMPLATE that the Modelfile gives must be one, and must write what the user says. One in words of Ollama's that hone does not
  // translate stays for Ollama.
  void check_template(std::optional<std::string>& given) {
    if (given && given->find_first_not_of(" \t\r\n") == std::string::npos) {
      notes_.push_back("TEMPLATE is empty: the model's own counts");
      given.reset();
    }
    if (!given) return;
    try {
      const auto chat = text::ChatTemplate::parse(text::jinja_of_ollama(*given, "TEMPLATE"), "TEMPLATE");
      constexpr const char* kProbe = "what the user says";
      text::RenderOptions options = files_->render_options();
      options.add_generation_prompt = true;
      if (chat.render(text::Json::array({{{"role", "user"}, {"content", kProbe}}}), options).find(kProbe) == std::string::npos)
        throw Error(ErrorCode::kInvalidInput, "TEMPLATE", "does not write what the user says", "write {{ .Prompt }} where it belongs, or range over .Messages");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) throw;
      notes_.push_back(fmt::format("TEMPLATE is kept for Ollama; hone passes it over: {}", error.message()));
    }
  }

  // The template that Ollama needs, where the Modelfile and the parent have none.
  store::Modelfile described() {
    try {
      return modelfile(*files_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) throw;
      notes_.push_back(fmt::format("no TEMPLATE: {}", error.message()));
      return {};
    }
  }

  void add_words() {
    store::Modelfile words = options_.file;
    words.chat_template = template_;
    if (!tuned_.empty() && !system_) system_ = tuned_system(tuned_);
    if (!words.system && system_) {
      words.system = system_;
      notes_.push_back(fmt::format("SYSTEM is what the training rows share: {}; a SYSTEM line of the Modelfile changes it", quoted_beginning(*system_)));
    }
    if (parent_) {
      if (!words.chat_template && !other_template_) words.chat_template = parent_->chat_template;
      if (!words.system) words.system = parent_->system;
      if (words.messages.empty()) words.messages = parent_->messages;
      words.licenses.insert(words.licenses.begin(), parent_->licenses.begin(), parent_->licenses.end());
      nlohmann::ordered_json merged = parent_->parameters.is_object() ? parent_->parameters : nlohmann::ordered_json::object();
      merged.update(words.parameters);
      words.parameters = std::move(merged);
    }
    if (!words.chat_template) {
      const store::Modelfile found = described();
      words.chat_template = found.chat_template;
      if (!words.system) words.system = found.system;
      if (!words.parameters.contains("stop") && found.parameters.contains("stop")) words.parameters["stop"] = found.parameters["stop"];
    }
    const nlohmann::ordered_json defaults = models::parameters_of(files_->source->generation());
    for (const auto& [name, value] : defaults.items())
      if (!words.parameters.contains(name)) words.parameters[name] = value;
    const auto add = [&](std::string_view type, const std::string& text) { layers_.push_back(store_.add(lease_, type, text)); };
    if (words.chat_template) add(media::kTemplate, *words.chat_template);
    if (words.system && !words.system->empty()) add(media::kSystem, *words.system);
    std::vector<std::string> licenses;
    for (const std::string& license : words.licenses)
      if (std::find(licenses.begin(), licenses.end(), license) == licenses.end()) licenses.push_back(license);
    for (const std::string& license : licenses) add(media::kLicense, license);
    if (!words.parameters.empty()) add(media::kParams, words.parameters.dump());
    nlohmann::ordered_json messages = nlohmann::ordered_json::array();
    for (const store::ChatMessage& m : words.messages) messages.push_back({{"role", m.role}, {"content", m.content}});
    if (!messages.empty()) add(media::kMessages, messages.dump());
  }

  store::Library& library_;
  store::ModelStore& store_;
  const store::ModelName& name_;
  const CreateOptions& options_;
  store::WriteLease lease_;
  std::optional<store::StoredModel> parent_;
  std::optional<ModelFiles> files_;
  models::LoadOptions load_;
  fs::path tuned_;  // a run's result; empty when FROM is a plain model
  std::string chat_template_;              // Jinja, of a run
  std::optional<std::string> template_;    // TEMPLATE
  bool other_template_ = false;  // than that of the model it was made from
  std::optional<std::string> system_;  // that the rows share which the adapter or the weights were trained on
  std::vector<store::Layer> layers_;
  store::ModelFacts facts_;
  std::vector<std::string> notes_;
};

}  // namespace

CreateResult create_model(store::Library& library, const store::ModelName& name, const CreateOptions& options) {
  CreateResult result = Creation(library, name, options).run();
  library.own().prune().tell(result.notes);  // what the name stood for before
  return result;
}

void complete_model(store::Library& library, const store::ModelName& name, const store::Watch& watch) {
  if (library.open(name).chat_template) return;
  CreateOptions options;
  options.file.from = name.full();
  options.watch = watch;
  try {
    create_model(library, name, options);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported && error.code() != ErrorCode::kInvalidInput) throw;
  }
}

}  // namespace hone::recipes
