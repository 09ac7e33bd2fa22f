#include "io/peft.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "base/json_file.h"
#include "io/atomic_file.h"
#include "io/peft_config.h"
#include "io/safetensors.h"
#include "quant/codec.h"

namespace hone::io {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kConfigFile = "adapter_config.json", kWeightsFile = "adapter_model.safetensors", kPickle = "adapter_model.bin";

// What a tensor of the file is to its module.
enum class Part { kA, kB, kMagnitude, kWhole };
struct Ending {
  std::string_view text;
  Part part;
  bool embedding = false;
};
constexpr Ending kEndings[] = {{".lora_A.weight", Part::kA},
                               {".lora_B.weight", Part::kB},
                               {".lora_embedding_A", Part::kA, true},
                               {".lora_embedding_B", Part::kB, true},
                               {".lora_magnitude_vector", Part::kMagnitude},
                               {".lora_magnitude_vector.weight", Part::kMagnitude}};

[[noreturn]] void bad(const std::string& where, const std::string& message, const std::string& hint = "write the adapter again") {
  throw Error(ErrorCode::kInvalidInput, where, message, hint);
}

Tensor to_f32(const Tensor& stored) {
  Tensor out = Tensor::empty(stored.shape(), DType::kF32);
  const int64_t cols = stored.shape()[-1], rows = cols > 0 ? stored.elements() / cols : 0, bytes = row_bytes(stored.dtype(), cols);
  for (int64_t row = 0; row < rows; ++row)
    quant::decode_row(stored.dtype(), static_cast<const std::byte*>(stored.raw()) + row * bytes, cols, out.data_mutable<float>() + row * cols);
  return out;
}

// A name of many modules, where it says what they have in common and nobody else: their last part, else each in full.
std::vector<std::string> named(const std::vector<const LoraPair*>& chosen, const std::vector<LoraPair>& all) {
  const auto suffix = [](const LoraPair& pair) { return pair.module.substr(pair.module.rfind('.') + 1); };
  std::map<std::string, std::pair<size_t, size_t>> counts;  // chosen, all
  for (const LoraPair* pair : chosen) ++counts[suffix(*pair)].first;
  for (const LoraPair& pair : all) ++counts[suffix(pair)].second;
  std::set<std::string> names;
  for (const LoraPair* pair : chosen) {
    const std::string last = suffix(*pair);
    names.insert(counts[last].first == counts[last].second ? last : pair->module);
  }
  return {names.begin(), names.end()};
}

// rank_pattern or alpha_pattern: what differs from the adapter's own value. Names are patterns in which a dot is any character; no
// module's name matches another's.
template <class Value, class Of>
nlohmann::ordered_json pattern_of(const LoraAdapter& adapter, Value usual, Of of) {
  std::map<Value, std::vector<const LoraPair*>> others;
  for (const LoraPair& pair : adapter.pairs)
    if (of(pair) != usual) others[of(pair)].push_back(&pair);
  nlohmann::ordered_json pattern = nlohmann::ordered_json::object();
  for (const auto& [value, pairs] : others)
    for (const std::string& name : named(pairs, adapter.pairs)) pattern[name] = value;
  return pattern;
}

bool embedding_name(std::string_view module) { return module == "embed_tokens" || module.ends_with(".embed_tokens"); }

// Where PEFT keeps the whole weights: copies of modules (modules_to_save), the base under an adapter, single biases (bias: all).
struct WholeNames {
  std::vector<std::string> tensors;  // in the order of LoraAdapter::whole
  std::set<std::string> modules;
  bool biases = false;

  explicit WholeNames(const LoraAdapter& adapter) {
    std::set<std::string> adapted, with_weight;
    for (const LoraPair& pair : adapter.pairs) adapted.insert(pair.module);
    for (const auto& [name, value] : adapter.whole)
      if (name.ends_with(".weight")) with_weight.insert(name.substr(0, name.rfind('.')));
    for (const auto& [name, value] : adapter.whole) {
      const size_t dot = name.rfind('.');
      const std::string module = name.substr(0, dot), kind = name.substr(dot);
      tensors.push_back(adapted.contains(module) ? module + ".base_layer" + kind : name);
      if (kind == ".bias" && !with_weight.contains(module)) biases = true;
      else if (!adapted.contains(module)) modules.insert(module);
    }
  }
};

}  // namespace

double LoraAdapter::scale(const LoraPair& pair) const {
  const auto r = static_cast<double>(pair.b.shape()[-1]);
  return pair.alpha / (rank_stabilized ? std::sqrt(r) : r);
}

bool LoraAdapter::has_dora() const {
  return std::any_of(pairs.begin(), pairs.end(), [](const LoraPair& pair) { return pair.magnitude.defined(); });
}

void write_peft(const std::filesystem::path& folder, const LoraAdapter& adapter) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const LoraPair& pair : adapter.pairs) {
    const bool embedding = embedding_name(pair.module);
    tensors.emplace_back(fmt::format("{}{}{}", kPrefix, pair.module, kEndings[embedding ? 2 : 0].text), pair.a);
    tensors.emplace_back(fmt::format("{}{}{}", kPrefix, pair.module, kEndings[embedding ? 3 : 1].text), pair.b);
    if (pair.magnitude.defined()) tensors.emplace_back(fmt::format("{}{}{}", kPrefix, pair.module, kEndings[4].text), pair.magnitude);
  }
  const WholeNames whole(adapter);
  for (size_t i = 0; i < whole.tensors.size(); ++i) tensors.emplace_back(fmt::format("{}{}", kPrefix, whole.tensors[i]), adapter.whole[i].second);
  write_safetensors(folder / kWeightsFile, tensors, {{"format", "pt"}});
  const nlohmann::ordered_json config = {
      {"peft_type", "LORA"},
      {"task_type", "CAUSAL_LM"},
      {"base_model_name_or_path", adapter.base_model},
      {"r", adapter.rank},
      {"lora_alpha", adapter.alpha},
      {"lora_dropout", adapter.target_parameters.empty() ? adapter.dropout : 0},  // PEFT refuses another on parameters
      {"use_rslora", adapter.rank_stabilized},
      {"use_dora", adapter.has_dora()},
      {"target_modules", adapter.target_modules},
      {"target_parameters", adapter.target_parameters.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(adapter.target_parameters)},
      {"rank_pattern", pattern_of(adapter, adapter.rank, [](const LoraPair& pair) { return pair.b.shape()[-1]; })},
      {"alpha_pattern", pattern_of(adapter, adapter.alpha, [](const LoraPair& pair) { return pair.alpha; })},
      {"bias", whole.biases ? "all" : "none"},
      {"fan_in_fan_out", false},
      {"inference_mode", true},
      {"init_lora_weights", true},
      {"modules_to_save", whole.modules.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(whole.modules)},
  };
  write_file(folder / kConfigFile, config.dump(2) + "\n");
}

namespace {

class Reader {
 public:
  explicit Reader(const std::filesystem::path& folder) : config_(read_config(folder)), weights_(open_weights(folder)), file_(weights_.path().string()) {}

  LoraAdapter read() {
    LoraAdapter adapter;
    adapter.base_model = config_.base_model;
    adapter.rank = config_.rank;
    adapter.alpha = config_.alpha;
    adapter.dropout = config_.dropout;
    adapter.rank_stabilized = config_.rank_stabilized;
    adapter.start = config_.start;
    adapter.notes = config_.notes;
    for (const std::string& name : weights_.names()) take(name, adapter);
    if (pairs_.empty()) bad(file_, "holds no LoRA matrix");
    for (auto& [module, pair] : pairs_) {
      check(pair);
      if (config_.adapts(module)) adapter.target_modules.push_back(module);
      else adapter.target_parameters.push_back(module + ".weight");
      adapter.pairs.push_back(std::move(pair));
    }
    const bool vocabulary = std::any_of(adapter.pairs.begin(), adapter.pairs.end(), [](const LoraPair& p) { return embedding_name(p.module) || p.module == "lm_head"; }) ||
                            std::any_of(adapter.whole.begin(), adapter.whole.end(), [](const auto& w) { return w.first == "lm_head.weight" || w.first.ends_with("embed_tokens.weight"); });
    if (config_.tied && vocabulary)
      throw Error(ErrorCode::kUnsupported, file_, "ensure_weight_tying ties the adapters of embedding and head, which is not computed", "merge it with PEFT and take the merged model");
    return adapter;
  }

 private:
  static PeftConfig read_config(const std::filesystem::path& folder) {
    if (!std::filesystem::exists(folder / kConfigFile))
      throw Error(ErrorCode::kNotFound, folder.string(), fmt::format("holds no {}", kConfigFile), "name the folder of an adapter, for example RUN/best");
    return read_peft_config(folder / kConfigFile);
  }

  // A pickle can run any code when it is read, so none is.
  static Safetensors open_weights(const std::filesystem::path& folder) {
    if (!std::filesystem::exists(folder / kWeightsFile) && std::filesystem::exists(folder / kPickle))
      throw Error(ErrorCode::kUnsupported, (folder / kPickle).string(), "is a pickle of PyTorch; safetensors are read",
                  fmt::format("convert it in its folder: python3 -c 'import torch, safetensors.torch as s; s.save_file({{k: v.contiguous().clone() for k, v in "
                              "torch.load(\"{}\", map_location=\"cpu\", weights_only=True).items()}}, \"{}\")'",
                              kPickle, kWeightsFile));
    return Safetensors::open(folder / kWeightsFile);
  }

  [[noreturn]] void unread(const std::string& tensor, const std::string& why) const {
    throw Error(ErrorCode::kUnsupported, file_, fmt::format("tensor \"{}\" {}", tensor, why), "correct adapter_config.json, or merge the adapter with PEFT and take the merged model");
  }

  // PEFT would pass over a tensor whose module its configuration does not name; it would change the model here.
  bool chosen(const std::string& module) const {
    if (config_.adapts(module)) return true;
    const std::string weight = module + ".weight";
    return std::any_of(config_.target_parameters.begin(), config_.target_parameters.end(), [&](const std::string& name) { return weight == name || weight.ends_with("." + name); });
  }

  void take(const std::string& name, LoraAdapter& adapter) {
    std::string_view module = name;
    if (module.starts_with(kPrefix)) module.remove_prefix(kPrefix.size());
    for (const Ending& ending : kEndings) {
      if (!module.ends_with(ending.text)) continue;
      module.remove_suffix(ending.text.size());
      const std::string of(module);
      if (of.ends_with(".experts") || of.ends_with(".experts.base_layer")) unread(name, "adapts all experts as one parameter, which hone keeps apart");
      if (!chosen(of)) unread(name, "belongs to a module that target_modules, layers_to_transform or exclude_modules leaves out");
      if (ending.part == Part::kMagnitude && !config_.dora) unread(name, "is a magnitude of DoRA, but use_dora is false");
      if (ending.part != Part::kMagnitude && ending.embedding != embedding_name(of)) unread(name, "is not how PEFT names a matrix of this module");
      const Tensor stored = weights_.tensor(name);
      const int64_t rank = ending.part == Part::kMagnitude ? 1 : 2;
      if (stored.shape().rank() != rank) bad(file_, fmt::format("tensor \"{}\" has shape {}; {} expected", name, stored.shape().str(), rank == 2 ? "a matrix was" : "one number per row was"));
      LoraPair& pair = pairs_[of];
      pair.module = of;
      Tensor& part = ending.part == Part::kA ? pair.a : ending.part == Part::kB ? pair.b : pair.magnitude;
      if (part.defined()) bad(file_, fmt::format("tensor \"{}\" is there twice, under two names", name));
      part = to_f32(stored);
      return;
    }
    take_whole(name, std::string(module), adapter);
  }

  // A weight or bias in place of the base's. PEFT writes embeddings whenever they were resized or adapted.
  void take_whole(const std::string& name, std::string weight, LoraAdapter& adapter) {
    for (const std::string_view inner : {".base_layer.", ".modules_to_save."})
      if (const size_t at = weight.rfind(inner); at != std::string::npos) weight.replace(at, inner.size(), ".");
    const size_t dot = weight.rfind('.');
    const std::string module = dot == std::string::npos ? "" : weight.substr(0, dot), kind = dot == std::string::npos ? weight : weight.substr(dot);
    if (weight.find("lora_") != std::string::npos || (kind != ".weight" && kind != ".bias")) unread(name, "is read by nothing");
    const bool bias = kind == ".bias" && config_.bias != "none", vocabulary = embedding_name(module) || module == "lm_head";
    if (!bias && !vocabulary && !config_.keeps_whole(module)) unread(name, "is read by nothing: modules_to_save and bias do not name it");
    const Tensor stored = weights_.tensor(name);
    if (stored.shape().rank() < 1) bad(file_, fmt::format("tensor \"{}\" is a single number", name));
    adapter.whole.emplace_back(weight, to_f32(stored));
  }

  void check(LoraPair& pair) const {
    if (!pair.a.defined() || !pair.b.defined()) bad(file_, fmt::format("{} has only one of lora_A and lora_B", pair.module));
    const int64_t rank = config_.rank_of(pair.module);
    if (pair.a.size(0) != rank || pair.b.size(1) != rank)
      bad(file_, fmt::format("{}: lora_A {} and lora_B {} do not fit the rank {} that adapter_config.json gives it (r, rank_pattern)", pair.module, pair.a.shape().str(), pair.b.shape().str(), rank),
          "adapter_config.json and adapter_model.safetensors belong to different adapters, or rank_pattern is missing");
    if (config_.dora && !embedding_name(pair.module) && (!pair.magnitude.defined() || pair.magnitude.elements() != pair.b.size(0)))
      bad(file_, fmt::format("{}: use_dora is true, but there is no lora_magnitude_vector of {} numbers", pair.module, pair.b.size(0)));
    pair.alpha = config_.alpha_of(pair.module);
  }

  const PeftConfig config_;
  const Safetensors weights_;
  const std::string file_;
  std::map<std::string, LoraPair> pairs_;
};

}  // namespace

LoraAdapter read_peft(const std::filesystem::path& folder) { return Reader(folder).read(); }

}  // namespace hone::io
