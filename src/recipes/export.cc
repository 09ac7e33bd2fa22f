#include "recipes/export.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "base/path.h"
#include "io/atomic_file.h"
#include "models/adapter_start.h"
#include "recipes/export_gguf.h"
#include "recipes/export_safetensors.h"
#include "recipes/modelfile.h"
#include "recipes/run_chat.h"
#include "recipes/tuned_model.h"
#include "recipes/tuned_system.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;

// The run or adapter, the base it belongs to, and where results go.
struct Sources {
  fs::path tuned;
  std::string base;
  std::string chat_template;
  models::LoadOptions load;
};

Sources sources_of(const ExportOptions& options) {
  Sources s;
  s.base = options.base;
  s.load.max_positions = 16;
  if (!fs::exists(options.run)) {
    const auto name = store::try_name(options.run.string());
    if (!name || !store::Library().find(*name)) throw Error(ErrorCode::kNotFound, options.run.string(), "does not exist, and no model has this name", "name a run's folder, for example runs/triage, or a model that hone list shows");
    s.base = options.run.string();
    return s;
  }
  // A model itself: nothing is added to it, only its format changes.
  if (options.run.extension() == ".gguf" || (fs::exists(options.run / "config.json") && !fs::exists(options.run / "adapter_config.json"))) {
    s.base = options.run.string();
    return s;
  }
  s.tuned = tuned_folder(options.run);
  const fs::path config_file = options.run / "config.yaml";
  if (fs::exists(config_file)) {
    const Config config = load_config(config_file, {});
    s.load = load_options(config);
    s.load.max_positions = 16;
    if (!read_run_chat(s.tuned).chat_template) s.chat_template = config.model.chat_template;  // a run of an earlier version
    if (s.base.empty()) s.base = config.model.base;
  }
  // What is written is the file's own weights plus the change, whatever the base was held in while training.
  s.load.base = models::BaseFormat::kAsStored;
  if (s.base.empty() && fs::exists(s.tuned / "adapter_config.json")) s.base = io::read_peft(s.tuned).base_model;
  if (s.base.empty()) throw Error(ErrorCode::kInvalidInput, options.run.string(), "does not say which base model it belongs to", "name it with --base");
  return s;
}

fs::path folder_for(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw Error(ErrorCode::kIo, path.string(), fmt::format("cannot create the folder: {}", error.message()), "choose another place with --out");
  return path;
}

io::LoraAdapter adapter_of(const Sources& s, const std::string& format) {
  if (s.tuned.empty() || !fs::exists(s.tuned / "adapter_config.json"))
    throw Error(ErrorCode::kUnsupported, s.tuned.empty() ? s.base : s.tuned.string(), fmt::format("holds no LoRA adapter, which {} needs", format), "after full fine-tuning export --format gguf or safetensors");
  io::LoraAdapter adapter = io::read_peft(s.tuned);
  if (adapter.start == io::AdapterStart::kBase) return adapter;  // goes without its base
  const auto source = models::ModelSource::open(find_model(s.base).path);
  return models::for_whole_base(std::move(adapter), *source, s.tuned.string());
}

// An adapter lies beside the Modelfile as GGUF, which Ollama applies to every family; a fully fine-tuned model is its merged file.
ExportResult export_modelfile(const ExportOptions& options, const Sources& s, const ModelFiles& files, const fs::path& folder) {
  ExportResult result;
  const auto absolute = [](const fs::path& path) { return fs::absolute(path).lexically_normal().string(); };
  std::string from = absolute(find_model(s.base).path), adapter;
  if (!s.tuned.empty() && fs::exists(s.tuned / "adapter_config.json")) {
    result.files.push_back(folder / "adapter.gguf");
    const io::LoraAdapter pairs = models::read_adapter(*files.source, s.tuned);
    result.notes = write_gguf_lora(result.files.back(), pairs, *files.source, read_run_chat(s.tuned));
    adapter = absolute(result.files.back());
  } else if (!s.tuned.empty()) {
    from = absolute(options.run / "export" / "gguf" / "model.gguf");
    if (!fs::exists(from)) result.notes.push_back(fmt::format("FROM names {}, which hone export {} --format gguf writes", from, shell_word(options.run.string())));
  }
  result.files.push_back(folder / "Modelfile");
  const auto system = tuned_system(s.tuned);
  if (system) result.notes.push_back(fmt::format("SYSTEM is what the training rows share: {}", quoted_beginning(*system)));
  io::write_file(result.files.back(), modelfile(files, from, adapter, system));
  return result;
}

ExportResult export_format(const ExportOptions& options, const Sources& s) {
  if (options.out.empty() && s.tuned.empty())
    throw Error(ErrorCode::kInvalidInput, options.run.string(), "is a model, not a run: results need a place", "name one with --out");
  const fs::path out = options.out.empty() ? options.run / "export" / options.format : options.out;
  // A file when --out names one by its ending, else a file of this name in that folder.
  const auto file_in = [&](const char* name) {
    if (out.extension() != fs::path(name).extension()) return folder_for(out) / name;
    if (out.has_parent_path()) folder_for(out.parent_path());
    return out;
  };
  if (options.format == "peft") {
    const io::LoraAdapter adapter = adapter_of(s, options.format);
    const fs::path folder = folder_for(out);
    io::write_peft(folder, adapter);
    write_run_chat(folder, read_run_chat(s.tuned));
    write_tuned_system(folder, tuned_system(s.tuned));
    return {{folder / "adapter_config.json", folder / "adapter_model.safetensors"}, {}};
  }
  if (options.format == "gguf-lora") {
    const io::LoraAdapter adapter = adapter_of(s, options.format);
    const auto source = models::ModelSource::open(find_model(s.base).path);
    const fs::path file = file_in("adapter.gguf");
    return {{file}, write_gguf_lora(file, adapter, *source, read_run_chat(s.tuned))};
  }
  ModelFiles files = open_model(s.base, s.chat_template);
  take_run_chat(files, read_run_chat(s.tuned));
  if (options.format == "modelfile") return export_modelfile(options, s, files, folder_for(out));
  models::CausalLm model = load_tuned(files, s.load, s.tuned);
  if (options.format == "safetensors") return {write_merged_safetensors(folder_for(out), files, model, options.type), {}};
  const fs::path file = file_in("model.gguf");
  auto notes = write_merged_gguf(file, files, model, options.type.empty() ? "f16" : options.type);
  return {{file}, std::move(notes)};
}

}  // namespace

ExportResult export_run(const ExportOptions& options) {
  static const std::vector<std::string> formats = {"peft", "gguf-lora", "safetensors", "gguf", "modelfile"};
  if (std::find(formats.begin(), formats.end(), options.format) == formats.end()) {
    const std::string near = nearest(options.format, formats);
    throw Error(ErrorCode::kInvalidInput, "--format", fmt::format("unknown format \"{}\"", options.format),
                near.empty() ? "known: peft, gguf-lora, safetensors, gguf, modelfile" : fmt::format("did you mean \"{}\"?", near));
  }
  if (!options.type.empty() && options.format != "gguf" && options.format != "safetensors")
    throw Error(ErrorCode::kInvalidInput, "--type", fmt::format("{} has no type to choose", options.format), "leave --type out; it belongs to gguf and safetensors");
  const Sources s = sources_of(options);
  ExportResult result = export_format(options, s);
  const std::vector<std::string> notes = tuned_notes(s.tuned);
  result.notes.insert(result.notes.begin(), notes.begin(), notes.end());
  return result;
}

}  // namespace hone::recipes
