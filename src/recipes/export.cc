#include "recipes/export.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "io/gguf_writer.h"
#include "recipes/export_gguf.h"
#include "io/safetensors.h"
#include "recipes/merged_weights.h"
#include "recipes/modelfile.h"
#include "recipes/tuned_model.h"
#include "quant/codec.h"

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
  if (!fs::exists(options.run)) throw Error(ErrorCode::kNotFound, options.run.string(), "does not exist", "name a run's folder, for example runs/triage");
  Sources s;
  s.tuned = tuned_folder(options.run);
  s.base = options.base;
  const fs::path config_file = options.run / "config.yaml";
  if (fs::exists(config_file)) {
    const Config config = load_config(config_file, {});
    s.load = load_options(config);
    s.chat_template = config.model.chat_template;
    if (s.base.empty()) s.base = config.model.base;
  }
  // What is written is the file's own weights plus the change, whatever the base was held in while training.
  s.load.base = models::BaseFormat::kAsStored;
  s.load.max_positions = 16;
  if (s.base.empty() && fs::exists(s.tuned / "adapter_config.json")) s.base = io::read_peft(s.tuned).base_model;
  if (s.base.empty()) throw Error(ErrorCode::kInvalidInput, options.run.string(), "does not say which base model it belongs to", "name it with --base");
  return s;
}

fs::path folder_for(const ExportOptions& options, const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw Error(ErrorCode::kIo, path.string(), fmt::format("cannot create the folder: {}", error.message()), "choose another place with --out");
  (void)options;
  return path;
}

io::LoraAdapter adapter_of(const Sources& s, const std::string& format) {
  if (!fs::exists(s.tuned / "adapter_config.json"))
    throw Error(ErrorCode::kUnsupported, s.tuned.string(), fmt::format("holds no LoRA adapter, which {} needs", format), "after full fine-tuning export --format gguf or safetensors");
  return io::read_peft(s.tuned);
}

DType plain_type(const std::string& word) {
  if (word == "bf16") return DType::kBF16;
  if (word == "f16") return DType::kF16;
  if (word == "f32") return DType::kF32;
  throw Error(ErrorCode::kInvalidInput, "--type", fmt::format("safetensors hold bf16, f16 or f32; found \"{}\"", word), "use one of these");
}

// Every file of the Hugging Face folder, its weights with the change added.
std::vector<fs::path> export_safetensors(const Sources& s, const models::ModelSource& source, models::CausalLm& model, DType type, const fs::path& out) {
  if (source.gguf())
    throw Error(ErrorCode::kUnsupported, s.base, "a GGUF base is merged into GGUF, not into safetensors", "use --format gguf, or train from the model's Hugging Face folder");
  const MergedWeights merged(model, source);
  std::vector<fs::path> written;
  for (const auto& entry : fs::directory_iterator(source.path())) {
    const fs::path target = out / entry.path().filename();
    if (!entry.is_regular_file()) continue;
    if (entry.path().extension() != ".safetensors") {
      if (entry.path().extension() == ".json" || entry.path().extension() == ".jinja" || entry.path().extension() == ".txt" || entry.path().extension() == ".model") {
        fs::copy_file(entry.path(), target, fs::copy_options::overwrite_existing);
        written.push_back(target);
      }
      continue;
    }
    const io::Safetensors file = io::Safetensors::open(entry.path());
    std::vector<io::SafetensorsEntry> entries;
    for (const std::string& name : file.names()) entries.push_back({name, type, file.tensor(name).shape()});
    io::SafetensorsWriter writer(target, entries, {{"format", "pt"}});
    for (const auto& e : entries) {
      const Tensor stored = file.tensor(e.name);
      Tensor values;
      if (merged.changed(e.name)) {
        values = merged.f32(e.name);
      } else {
        values = Tensor::empty(stored.shape(), DType::kF32);
        quant::decode_row(stored.dtype(), stored.raw(), stored.elements(), values.data_mutable<float>());
      }
      Tensor encoded = Tensor::empty(stored.shape(), type);
      quant::encode_row(type, values.data<float>(), values.elements(), encoded.raw_mutable());
      writer.write(encoded.raw(), encoded.bytes());
    }
    writer.finish();
    written.push_back(target);
  }
  return written;
}

}  // namespace

std::vector<fs::path> export_run(const ExportOptions& options) {
  static const std::vector<std::string> formats = {"peft", "gguf-lora", "safetensors", "gguf", "modelfile"};
  if (std::find(formats.begin(), formats.end(), options.format) == formats.end()) {
    const std::string near = nearest(options.format, formats);
    throw Error(ErrorCode::kInvalidInput, "--format", fmt::format("unknown format \"{}\"", options.format),
                near.empty() ? "known: peft, gguf-lora, safetensors, gguf, modelfile" : fmt::format("did you mean \"{}\"?", near));
  }
  const Sources s = sources_of(options);
  const fs::path out = options.out.empty() ? options.run / "export" / options.format : options.out;
  if (options.format == "peft") {
    const io::LoraAdapter adapter = adapter_of(s, options.format);
    const fs::path folder = folder_for(options, out);
    io::write_peft(folder, adapter);
    return {folder / "adapter_config.json", folder / "adapter_model.safetensors"};
  }
  const auto file_in = [&](const char* name) {
    if (out.extension() == fs::path(name).extension() && !fs::path(name).extension().empty()) {
      if (out.has_parent_path()) folder_for(options, out.parent_path());
      return out;
    }
    return folder_for(options, out) / name;
  };
  if (options.format == "modelfile") {
    const ModelFiles files = open_model(s.base, s.chat_template);
    const fs::path file = folder_for(options, out) / "Modelfile";
    const bool lora = fs::exists(s.tuned / "adapter_config.json");
    io::write_file(file, modelfile(files, fs::absolute(find_model(s.base)).string(), lora ? fs::absolute(s.tuned).lexically_normal().string() : ""));
    return {file};
  }
  const auto source = models::ModelSource::open(find_model(s.base));
  if (options.format == "gguf-lora") {
    const fs::path file = file_in("adapter.gguf");
    write_gguf_lora(file, adapter_of(s, options.format), source->config());
    return {file};
  }
  models::CausalLm model = load_tuned(*source, s.load, s.tuned);
  if (options.format == "safetensors") return export_safetensors(s, *source, model, plain_type(options.type), folder_for(options, out));
  const fs::path file = file_in("model.gguf");
  write_merged_gguf(file, *source, model, options.type);
  return {file};
}

}  // namespace hone::recipes
