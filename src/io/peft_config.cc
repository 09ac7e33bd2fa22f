#include "io/peft_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"

namespace hone::io {
namespace {

using Json = nlohmann::ordered_json;  // the first pattern of a map counts, so its order is kept

constexpr const char* kMerge = "merge it with PEFT (merge_and_unload, save_pretrained) and take the merged model";

// null, false, 0 and empty: as if the key were not there.
bool neutral(const Json& value) {
  if (value.is_null()) return true;
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 0;
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.empty();
}

// The file's keys, with errors that name file and key.
class Keys {
 public:
  Keys(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}

  const Json* find(const char* key) const {
    const auto it = json_.find(key);
    return it == json_.end() || it->is_null() ? nullptr : &*it;
  }
  [[noreturn]] void bad(const char* key, const std::string& message) const {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", where_, key), message, "write the adapter again");
  }
  [[noreturn]] void unsupported(const char* key, const std::string& message, const std::string& hint = kMerge) const {
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: {}", where_, key), message, hint);
  }
  std::string text(const char* key, std::string otherwise) const {
    const Json* value = find(key);
    if (!value) return otherwise;
    if (!value->is_string()) bad(key, fmt::format("must be a string, found {}", value->dump().substr(0, 60)));
    return value->get<std::string>();
  }
  bool flag(const char* key) const {
    const Json* value = find(key);
    if (value && !value->is_boolean()) bad(key, "must be true or false");
    return value && value->get<bool>();
  }
  double number(const char* key, double least, double most, double otherwise) const {
    const Json* value = find(key);
    return value ? checked(key, *value, least, most) : otherwise;
  }
  int64_t whole(const char* key, int64_t least, int64_t most, int64_t otherwise) const {
    const Json* value = find(key);
    return value ? checked_whole(key, *value, least, most) : otherwise;
  }
  double checked(const char* key, const Json& value, double least, double most) const {
    if (!value.is_number() || !(value.get<double>() >= least && value.get<double>() <= most)) bad(key, fmt::format("must be a number in [{}, {}]", least, most));
    return value.get<double>();
  }
  int64_t checked_whole(const char* key, const Json& value, int64_t least, int64_t most) const {
    const double number = checked(key, value, static_cast<double>(least), static_cast<double>(most));
    if (number != std::floor(number)) bad(key, fmt::format("must be a whole number, found {}", number));
    return static_cast<int64_t>(number);
  }
  std::vector<std::string> names(const char* key) const {
    std::vector<std::string> list;
    const Json* value = find(key);
    if (!value) return list;
    if (!value->is_array()) bad(key, "must be a list of names");
    for (const auto& item : *value) {
      if (!item.is_string()) bad(key, "must be a list of names");
      list.push_back(item.get<std::string>());
    }
    return list;
  }
  ModuleChoice modules(const char* key) const {
    ModuleChoice choice;
    const Json* value = find(key);
    if (!value) return choice;
    if (value->is_string()) choice.regex.emplace_back(value->get<std::string>(), fmt::format("{}: {}", where_, key));
    else choice.names = names(key);
    return choice;
  }
  template <class Read>
  auto patterns(const char* key, Read read) const {
    std::vector<std::pair<NamePattern, decltype(read(Json()))>> list;
    const Json* value = find(key);
    if (!value) return list;
    if (!value->is_object()) bad(key, "must map patterns of module names to numbers");
    for (const auto& [pattern, number] : value->items()) list.emplace_back(NamePattern::suffix(pattern, fmt::format("{}: {}", where_, key)), read(number));
    return list;
  }
  const Json& json() const { return json_; }
  const std::string& where() const { return where_; }

 private:
  const Json& json_;
  std::string where_;
};

// True or a word: how A and B began. What matters later is whether the base was changed to make room for them.
AdapterStart start_of(const Keys& keys) {
  constexpr const char* key = "init_lora_weights";
  const Json* value = keys.find(key);
  if (!value || value->is_boolean()) return AdapterStart::kBase;
  const std::string found = keys.text(key, "");
  for (const char* base_untouched : {"gaussian", "eva", "orthogonal", "mica", "true", "false"})
    if (found == base_untouched) return AdapterStart::kBase;
  if (found == "pissa") return AdapterStart::kPissa;
  if (found == "olora") return AdapterStart::kOlora;
  keys.unsupported(key,
                   fmt::format("\"{}\" starts from a base that was changed in a way that is not found again", found),
                   "save it as a plain adapter: save_pretrained(path_initial_model_for_weight_conversion=...) in PEFT");
}

void read_targets(const Keys& keys, PeftConfig& config) {
  const std::string all = keys.find("target_modules") && keys.find("target_modules")->is_string() ? keys.text("target_modules", "") : "";
  config.all_linear = all == "all-linear" || !keys.find("target_modules");
  if (!config.all_linear) config.target = keys.modules("target_modules");
  config.exclude = keys.modules("exclude_modules");
  config.target_parameters = keys.names("target_parameters");
  config.modules_to_save = keys.names("modules_to_save");
  if (const Json* layers = keys.find("layers_to_transform")) {
    if (layers->is_array())
      for (const auto& layer : *layers) config.layers.push_back(keys.checked_whole("layers_to_transform", layer, 0, 1 << 20));
    else config.layers.push_back(keys.checked_whole("layers_to_transform", *layers, 0, 1 << 20));
  }
  const Json* pattern = keys.find("layers_pattern");
  std::vector<std::string> lists;
  if (pattern && pattern->is_string() && !pattern->get_ref<const std::string&>().empty()) lists.push_back(pattern->get<std::string>());
  else if (pattern && !pattern->is_string()) lists = keys.names("layers_pattern");
  for (const std::string& list : lists) config.layer_indices.emplace_back(fmt::format("(?:^|.*?\\.){}", list), keys.where() + ": layers_pattern");
}

}  // namespace

bool ModuleChoice::holds(std::string_view module) const {
  for (const NamePattern& pattern : regex)
    if (pattern.matches(module)) return true;
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return module == name || (module.size() > name.size() && module.ends_with(name) && module[module.size() - name.size() - 1] == '.');
  });
}

int64_t PeftConfig::rank_of(std::string_view module) const {
  for (const auto& [pattern, value] : rank_pattern)
    if (pattern.matches(module)) return value;
  return rank;
}

double PeftConfig::alpha_of(std::string_view module) const {
  for (const auto& [pattern, value] : alpha_pattern)
    if (pattern.matches(module)) return value;
  return alpha;
}

namespace {

// The number in the first segment of `module` that is one and has two before it ("model.layers.3.mlp"), or follows a list that
// `lists` name; nullopt without one.
std::optional<int64_t> layer_index(const std::string& module, const std::vector<NamePattern>& lists) {
  for (size_t begin = 0, end = 0; begin < module.size(); begin = end + 1) {
    end = module.find('.', begin);
    if (end == std::string::npos) return std::nullopt;  // a number at the end chooses no layer
    int64_t index = 0;
    const auto [rest, error] = std::from_chars(module.data() + begin, module.data() + end, index);
    if (error != std::errc{} || rest != module.data() + end || begin == 0) continue;
    const std::string before = module.substr(0, begin - 1);
    const bool known = std::any_of(lists.begin(), lists.end(), [&](const NamePattern& list) { return list.matches(before); });
    if (lists.empty() ? before.find('.') != std::string::npos : known) return index;
  }
  return std::nullopt;
}

}  // namespace

bool PeftConfig::adapts(const std::string& module) const {
  if (exclude.holds(module)) return false;
  for (const std::string& name : modules_to_save)
    if (NamePattern(fmt::format("(^|.*\\.){}($|\\..*)", name), "modules_to_save").matches(module)) return false;
  if (all_linear) return true;
  if (!target.holds(module)) return false;
  if (layers.empty() || !target.regex.empty()) return true;
  const auto index = layer_index(module, layer_indices);
  return index && std::find(layers.begin(), layers.end(), *index) != layers.end();
}

bool PeftConfig::keeps_whole(std::string_view module) const {
  return std::any_of(modules_to_save.begin(), modules_to_save.end(), [&](const std::string& name) { return module.ends_with(name); });
}

const std::vector<PeftKey>& peft_keys() {
  using enum PeftKey::Use;
  static const std::vector<PeftKey> keys = {
      {"peft_type", kRead, "LORA; every other method is refused"},
      {"task_type", kRead, "CAUSAL_LM; tasks with a head of their own (SEQ_CLS …) are refused"},
      {"base_model_name_or_path", kRead, "where `--base` is not given"},
      {"r", kRead, "rank R; 8 when absent, as in PEFT"},
      {"lora_alpha", kRead, "the scale is alpha / R; 8 when absent"},
      {"lora_dropout", kRead, "written again by `hone export --format peft`; answers know no dropout"},
      {"use_rslora", kRead, "the scale is alpha / √R"},
      {"rank_pattern", kRead, "ranks of single modules; the first pattern that matches the end of a name counts"},
      {"alpha_pattern", kRead, "the same for alpha"},
      {"target_modules", kRead, "tensors of modules that it leaves out are refused: PEFT would not load them"},
      {"exclude_modules", kRead, "the same for modules that it names"},
      {"layers_to_transform", kRead, "the same for layers that it leaves out"},
      {"layers_pattern", kRead, "where in a name layers_to_transform finds the layer"},
      {"target_parameters", kRead, "weights that are named themselves, such as fused experts"},
      {"modules_to_save", kRead, "modules that the file holds whole"},
      {"use_dora", kRead, "weight-decomposed adapters, with their magnitudes"},
      {"bias", kRead, "none, all or lora_only: which biases the file replaces"},
      {"init_lora_weights", kRead,
       "how training began: starts that leave the base as it is, pissa and olora, whose start is found again and taken "
       "off"},
      {"ensure_weight_tying", kRead, "refused where the embedding or the head is adapted"},
      {"inference_mode", kWithoutEffect, "an adapter is loaded to answer"},
      {"auto_mapping", kWithoutEffect, "the class that PEFT would load"},
      {"peft_version", kWithoutEffect, "who wrote the file"},
      {"revision", kWithoutEffect, "the base is the one that is named"},
      {"fan_in_fan_out", kWithoutEffect, "PEFT itself sets it to false for linear layers"},
      {"loftq_config", kWithoutEffect, "init_lora_weights says whether it was used"},
      {"eva_config", kWithoutEffect, "the same"},
      {"corda_config", kWithoutEffect, "the same"},
      {"lora_ga_config", kWithoutEffect, "the same"},
      {"velora_config", kWithoutEffect, "a backward pass of its own"},
      {"megatron_core", kWithoutEffect, "where Megatron's layers lie; megatron_config says whether they are used"},
      {"runtime_config", kWithoutEffect, "how PEFT computes"},
      {"qalora_group_size", kWithoutEffect, "use_qalora says whether it counts"},
      {"merge_weights", kWithoutEffect, "of old versions: whether to merge on loading"},
      {"unsloth_fixed", kWithoutEffect, "a mark that unsloth leaves"},
      {"lora_bias", kRefused, "a bias inside the adapter is not computed"},
      {"megatron_config", kRefused, "layers of Megatron are laid out otherwise"},
      {"trainable_token_indices", kRefused, "single rows of the embedding are not replaced"},
      {"alora_invocation_tokens", kRefused, "the adapter would have to begin within the prompt"},
      {"use_qalora", kRefused, "inputs pooled in groups are not computed"},
      {"monteclora_config", kRefused, "weights drawn at random are not computed"},
      {"layer_replication", kRefused, "the adapter belongs to a model with repeated layers"},
      {"use_bdlora", kRefused, "block-diagonal matrices are not computed"},
      {"arrow_config", kRefused, "adapters chosen for each token are not computed"},
      {"kasa_config", kRefused, "the base lost singular values that hone would keep"},
      {"enable_lora", kRefused, "of old versions: adapters of parts of a fused layer"},
  };
  return keys;
}

std::string peft_key_table() {
  std::string table = "| key | hone | |\n|---|---|---|\n";
  for (const PeftKey& key : peft_keys())
    table += fmt::format("| `{}` | {} | {} |\n", key.key, key.use == PeftKey::Use::kRead ? "read" : key.use == PeftKey::Use::kRefused ? "refused" : "without effect", key.meaning);
  return table;
}

PeftConfig read_peft_config(const std::filesystem::path& path) {
  const std::string text = read_file(path, 16 << 20), where = path.string();
  if (!parse_json(text, where).is_object()) throw Error(ErrorCode::kInvalidInput, where, "is not a JSON object", "write the adapter again");
  const Json json = Json::parse(text);
  const Keys keys(json, where);
  PeftConfig config;
  if (const std::string type = keys.text("peft_type", "LORA"); type != "LORA") keys.unsupported("peft_type", fmt::format("{} was found; LORA is read", type));
  if (const std::string task = keys.text("task_type", "CAUSAL_LM"); task != "CAUSAL_LM") keys.unsupported("task_type", fmt::format("{} was found; CAUSAL_LM is read", task), "hone runs language models");
  std::vector<std::string> unknown;
  for (const auto& [key, value] : json.items()) {
    const auto known = std::find_if(peft_keys().begin(), peft_keys().end(), [&, name = key](const PeftKey& k) { return k.key == name; });
    if (known == peft_keys().end()) unknown.push_back(key);
    else if (known->use == PeftKey::Use::kRefused && !neutral(value)) keys.unsupported(key.c_str(), fmt::format("{} is not supported: {}", value.dump().substr(0, 60), known->meaning));
  }
  if (!unknown.empty()) config.notes.push_back(fmt::format("{}: passed over what this version does not know: {}", where, fmt::join(unknown, ", ")));

  config.base_model = keys.text("base_model_name_or_path", "");
  config.rank = keys.whole("r", 1, 65536, 8);
  config.alpha = keys.number("lora_alpha", -1e9, 1e9, 8);
  config.dropout = keys.number("lora_dropout", 0, 1, 0);
  config.rank_stabilized = keys.flag("use_rslora");
  config.dora = keys.flag("use_dora");
  config.tied = keys.flag("ensure_weight_tying");
  config.bias = keys.text("bias", "none");
  if (config.bias != "none" && config.bias != "all" && config.bias != "lora_only") keys.bad("bias", fmt::format("must be none, all or lora_only, found \"{}\"", config.bias));
  config.start = start_of(keys);
  config.rank_pattern = keys.patterns("rank_pattern", [&](const Json& value) { return value.is_null() ? int64_t{0} : keys.checked_whole("rank_pattern", value, 1, 65536); });
  config.alpha_pattern = keys.patterns("alpha_pattern", [&](const Json& value) { return value.is_null() ? 0.0 : keys.checked("alpha_pattern", value, -1e9, 1e9); });
  read_targets(keys, config);
  return config;
}

}  // namespace hone::io
