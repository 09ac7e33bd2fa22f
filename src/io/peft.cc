#include "io/peft.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "io/atomic_file.h"
#include "base/json_file.h"
#include "io/safetensors.h"
#include "quant/codec.h"

namespace hone::io {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kConfigFile = "adapter_config.json", kWeightsFile = "adapter_model.safetensors";

[[noreturn]] void bad(const std::string& where, const std::string& message, const std::string& hint) {
  throw Error(ErrorCode::kInvalidInput, where, message, hint);
}

Tensor to_f32(const Tensor& stored) {
  Tensor out = Tensor::empty(stored.shape(), DType::kF32);
  const int64_t cols = stored.size(1);
  for (int64_t row = 0; row < stored.size(0); ++row)
    quant::decode_row(stored.dtype(), stored.rows(row, row + 1).raw(), cols,
                      out.data_mutable<float>() + row * cols);
  return out;
}

}  // namespace

double LoraAdapter::scale() const {
  return rank_stabilized ? alpha / std::sqrt(static_cast<double>(rank)) : alpha / static_cast<double>(rank);
}

void write_peft(const std::filesystem::path& folder, const LoraAdapter& adapter) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const LoraPair& pair : adapter.pairs) {
    tensors.emplace_back(fmt::format("{}{}.lora_A.weight", kPrefix, pair.module), pair.a);
    tensors.emplace_back(fmt::format("{}{}.lora_B.weight", kPrefix, pair.module), pair.b);
  }
  write_safetensors(folder / kWeightsFile, tensors, {{"format", "pt"}});
  const nlohmann::ordered_json config = {
      {"peft_type", "LORA"},
      {"task_type", "CAUSAL_LM"},
      {"base_model_name_or_path", adapter.base_model},
      {"r", adapter.rank},
      {"lora_alpha", adapter.alpha},
      {"lora_dropout", adapter.dropout},
      {"use_rslora", adapter.rank_stabilized},
      {"target_modules", adapter.target_modules},
      {"bias", "none"},
      {"fan_in_fan_out", false},
      {"inference_mode", true},
      {"init_lora_weights", true},
      {"modules_to_save", nullptr},
  };
  write_file(folder / kConfigFile, config.dump(2) + "\n");
}

LoraAdapter read_peft(const std::filesystem::path& folder) {
  const std::filesystem::path config_path = folder / kConfigFile;
  if (!std::filesystem::exists(config_path))
    throw Error(ErrorCode::kNotFound, folder.string(), fmt::format("holds no {}", kConfigFile),
                "name the folder of an adapter, for example RUN/best");
  const nlohmann::json config = read_json(config_path, 16 << 20);
  const std::string where = config_path.string();
  if (!config.is_object()) bad(where, "is not a JSON object", "write the adapter again");
  const auto text = [&](const char* key, std::string otherwise) {
    const auto it = config.find(key);
    if (it == config.end() || it->is_null()) return otherwise;
    if (!it->is_string()) bad(where, fmt::format("{} must be a string", key), "write the adapter again");
    return it->get<std::string>();
  };
  const auto flag = [&](const char* key) {
    const auto it = config.find(key);
    if (it == config.end() || it->is_null()) return false;
    if (!it->is_boolean()) bad(where, fmt::format("{} must be true or false", key), "write the adapter again");
    return it->get<bool>();
  };
  const auto number = [&](const char* key, double least, double most, std::optional<double> otherwise) {
    const auto it = config.find(key);
    if ((it == config.end() || it->is_null()) && otherwise) return *otherwise;
    if (it == config.end() || !it->is_number() || !(it->get<double>() >= least && it->get<double>() <= most))
      bad(where, fmt::format("{} must be a number in [{}, {}]", key, least, most), "write the adapter again");
    return it->get<double>();
  };
  if (const std::string type = text("peft_type", "LORA"); type != "LORA")
    throw Error(ErrorCode::kUnsupported, where, fmt::format("peft_type {} was found; LORA is read", type),
                "merge the adapter with the program that made it");
  for (const char* key : {"use_dora", "fan_in_fan_out", "lora_bias"})
    if (flag(key)) throw Error(ErrorCode::kUnsupported, where, fmt::format("{} is not supported", key), "train without it");

  LoraAdapter adapter;
  adapter.base_model = text("base_model_name_or_path", "");
  adapter.rank = static_cast<int64_t>(number("r", 1, 65536, std::nullopt));
  adapter.alpha = number("lora_alpha", 0, 1e9, std::nullopt);
  adapter.dropout = number("lora_dropout", 0, 1, 0);
  adapter.rank_stabilized = flag("use_rslora");
  if (const auto it = config.find("target_modules"); it != config.end()) {
    if (it->is_string()) adapter.target_modules.push_back(it->get<std::string>());
    if (it->is_array())
      for (const auto& module : *it)
        if (module.is_string()) adapter.target_modules.push_back(module.get<std::string>());
  }

  const Safetensors weights = Safetensors::open(folder / kWeightsFile);
  const std::string file = weights.path().string();
  std::map<std::string, LoraPair> pairs;
  for (const std::string& name : weights.names()) {
    std::string_view module = name;
    if (module.starts_with(kPrefix)) module.remove_prefix(kPrefix.size());
    constexpr std::string_view kA = ".lora_A.weight", kB = ".lora_B.weight";
    const bool is_a = module.ends_with(kA), is_b = module.ends_with(kB);
    if (!is_a && !is_b)
      throw Error(ErrorCode::kUnsupported, file, fmt::format("tensor \"{}\" is not a LoRA matrix", name),
                  "hone reads adapters of linear layers only");
    module.remove_suffix(kA.size());
    const Tensor stored = weights.tensor(name);
    if (stored.shape().rank() != 2)
      bad(file, fmt::format("tensor \"{}\" has shape {}; a matrix was expected", name, stored.shape().str()),
          "write the adapter again");
    LoraPair& pair = pairs[std::string(module)];
    pair.module = module;
    (is_a ? pair.a : pair.b) = to_f32(stored);
  }
  if (pairs.empty()) bad(file, "holds no LoRA matrix", "write the adapter again");
  for (auto& [module, pair] : pairs) {
    if (!pair.a.defined() || !pair.b.defined())
      bad(file, fmt::format("{} has only one of lora_A and lora_B", module), "write the adapter again");
    if (pair.a.size(0) != adapter.rank || pair.b.size(1) != adapter.rank)
      bad(file, fmt::format("{}: lora_A {} and lora_B {} do not fit r = {}", module, pair.a.shape().str(),
                            pair.b.shape().str(), adapter.rank),
          "adapter_config.json and adapter_model.safetensors belong to different adapters");
    adapter.pairs.push_back(std::move(pair));
  }
  return adapter;
}

}  // namespace hone::io
