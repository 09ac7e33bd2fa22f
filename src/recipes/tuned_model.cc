#include "recipes/tuned_model.h"

#include <cstring>
#include <map>

#include "base/path.h"
#include "io/peft_config.h"
#include "io/safetensors.h"
#include "models/adapter_start.h"
#include "recipes/read_gguf_lora.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;
constexpr const char* kFullWeights = "weights.safetensors";

}  // namespace

models::LoadOptions load_options(const Config& config) {
  models::LoadOptions options;
  options.activation = config.training.precision == "f32" ? DType::kF32 : DType::kBF16;
  options.train_all = config.model.adapter == "full";
  if (config.model.quantization == "bf16") options.base = models::BaseFormat::kBF16;
  if (config.model.quantization == "f32") options.base = models::BaseFormat::kF32;
  if (config.model.quantization == "int8") options.base = models::BaseFormat::kInt8;
  if (config.model.quantization == "nf4") options.base = models::BaseFormat::kNF4;
  return options;
}

models::LoraOptions lora_options(const Config& config) {
  models::LoraOptions options;
  options.rank = config.lora.r;
  options.alpha = config.lora.alpha;
  options.rank_pattern = config.lora.rank_pattern;
  options.alpha_pattern = config.lora.alpha_pattern;
  options.dora = config.lora.dora;
  options.whole = config.lora.modules_to_save;
  options.start = config.lora.init == "gaussian" ? models::LoraStart::kGaussian
                  : config.lora.init == "pissa"  ? models::LoraStart::kPissa
                  : config.lora.init == "olora"  ? models::LoraStart::kOlora
                                                 : models::LoraStart::kZero;
  options.dropout = static_cast<float>(config.lora.dropout);
  options.rank_stabilized = config.lora.rslora;
  options.targets = config.lora.target;
  options.seed = static_cast<uint64_t>(config.training.seed);
  return options;
}

models::CausalLm load_trainable(const Config& config, const models::ModelSource& source) {
  models::LoadOptions options = load_options(config);
  options.max_positions = config.data.cutoff_length;
  if (!options.train_all) options.whole = config.lora.modules_to_save;
  models::CausalLm model = models::CausalLm::load(source, options);
  model.dropout = static_cast<float>(config.dropout_rate);
  if (!options.train_all) models::add_lora(model, lora_options(config));
  return model;
}

models::CausalLm load_trainable(const Config& config, const ModelFiles& files) {
  if (files.stored && !files.stored->adapters.empty())
    throw Error(ErrorCode::kUnsupported, files.stored->name.shortest(), "has an adapter already; training adds one to a plain base",
                fmt::format("merge it first: hone export {} --format gguf --out merged.gguf", files.stored->name.shortest()));
  return load_trainable(config, *files.source);
}

optim::AdamW optimizer_of(const Config& config, const train::Parameters& parameters) {
  std::vector<optim::Parameter> list;
  for (const auto& leaf : parameters) {
    const bool matrix = leaf->value.shape().rank() == 2, is_b = leaf->name.ends_with("lora_B.weight");
    list.push_back({leaf->name, leaf->value, is_b ? static_cast<float>(config.lora.plus_ratio) : 1.0f,
                    matrix ? static_cast<float>(config.optimizer.weight_decay) : 0.0f});
  }
  return optim::AdamW(std::move(list), {static_cast<float>(config.optimizer.beta1), static_cast<float>(config.optimizer.beta2),
                                        static_cast<float>(config.optimizer.eps)});
}

namespace {

models::CausalLm load_adapted(const models::ModelSource& source, models::LoadOptions options, const io::LoraAdapter& adapter, const std::string& where) {
  options.replaced = models::replaced_weights(source, adapter, where);
  models::CausalLm model = models::CausalLm::load(source, options);
  models::attach_adapter(model, adapter, where, /*trainable=*/false);
  return model;
}

}  // namespace

models::CausalLm load_tuned(const models::ModelSource& source, models::LoadOptions options, const fs::path& tuned) {
  if (tuned.empty()) {
    options.train_all = false;
    return models::CausalLm::load(source, options);
  }
  if (!fs::exists(tuned))
    throw Error(ErrorCode::kNotFound, tuned.string(), "does not exist", "name a run's folder, or the folder of an adapter");
  if (!fs::exists(tuned / kFullWeights)) {
    options.train_all = false;
    return load_adapted(source, options, models::read_adapter(source, tuned), tuned.string());
  }
  options.train_all = true;
  models::CausalLm model = models::CausalLm::load(source, options);
  const io::Safetensors weights = io::Safetensors::open(tuned / kFullWeights);
  for (const auto& leaf : model.parameters()) {
    const Tensor saved = weights.tensor(leaf->name);
    if (saved.shape() != leaf->value.shape() || saved.dtype() != DType::kF32)
      throw Error(ErrorCode::kInvalidInput, weights.path().string(),
                  fmt::format("tensor {}: expected {} F32, found {} {}", leaf->name, leaf->value.shape().str(), saved.shape().str(), name(saved.dtype())),
                  "these weights were trained from another model");
    std::memcpy(leaf->value.raw_mutable(), saved.raw(), saved.bytes());
  }
  return model;
}

models::CausalLm load_tuned(const ModelFiles& files, const models::LoadOptions& options, const fs::path& tuned) {
  if (!files.stored || files.stored->adapters.empty()) return load_tuned(*files.source, options, tuned);
  const std::string name = files.stored->name.shortest();
  if (!tuned.empty() || files.stored->adapters.size() > 1)
    throw Error(ErrorCode::kUnsupported, name, tuned.empty() ? "has several adapters; hone applies one" : "has an adapter already; hone applies one",
                fmt::format("name its base instead (hone show {} --modelfile)", name));
  models::CausalLm model = load_tuned(*files.source, options, tuned);
  const fs::path& adapter = files.stored->adapters.front();
  models::attach_adapter(model, read_gguf_lora(adapter, *files.source), adapter.string(), /*trainable=*/false);
  return model;
}

void save_tuned(const fs::path& folder, models::CausalLm& model, const Config& config, const std::string& base) {
  if (config.model.adapter != "full") {
    io::write_peft(folder, models::to_adapter(model, lora_options(config), base));
    return;
  }
  std::vector<std::pair<std::string, Tensor>> weights;
  for (const auto& leaf : model.parameters()) weights.emplace_back(leaf->name, leaf->value);
  io::write_safetensors(folder / kFullWeights, weights);
}

std::vector<std::string> tuned_notes(const fs::path& tuned) {
  const fs::path config = tuned / "adapter_config.json";
  return !tuned.empty() && fs::exists(config) ? io::read_peft_config(config).notes : std::vector<std::string>();
}

fs::path tuned_folder(const fs::path& given) {
  const fs::path path = expanded_path(given.string(), given.string());
  const bool itself = fs::exists(path / "adapter_config.json") || fs::exists(path / kFullWeights);
  return !itself && fs::exists(path / "best") ? path / "best" : path;
}

}  // namespace hone::recipes
