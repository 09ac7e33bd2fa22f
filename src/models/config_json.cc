// Hugging Face's config.json. Defaults for absent keys are those of the family's configuration class in transformers.
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/config.h"
#include "models/format_keys.h"

namespace hone::models {
namespace {

using nlohmann::json;

constexpr int64_t kWidest = 1 << 20, kLong = int64_t{1} << 32;

// One JSON object with range-checked access; null counts as absent, as it does in transformers.
class JsonKeys {
 public:
  JsonKeys(const json& object, std::string where) : object_(&object), where_(std::move(where)) {
    if (!object.is_object())
      throw Error(ErrorCode::kInvalidInput, where_, fmt::format("expected a JSON object, found {}", object.type_name()),
                  "download the model's config.json again");
  }

  const std::string& where() const { return where_; }
  bool has(const char* key) const { return find(key) != nullptr; }
  const json* find(const char* key) const {
    const auto it = object_->find(key);
    return it == object_->end() || it->is_null() ? nullptr : &*it;
  }
  /// The member object, or nullopt.
  std::optional<JsonKeys> object(const char* key) const {
    const json* value = find(key);
    if (!value) return std::nullopt;
    return JsonKeys(*value, where_ + ": " + key);
  }

  int64_t count(const char* key, int64_t low, int64_t high, std::optional<int64_t> fallback = {}) const {
    const json* value = find(key);
    if (!value) return fallback ? *fallback : missing(key);
    // Some writers print whole numbers as 4096.0; any integer of this size is exact in double.
    const double number = value->is_number() ? value->get<double>() : NAN;
    if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) || number != std::floor(number))
      bad(key, fmt::format("a whole number from {} to {}", low, high), *value);
    return static_cast<int64_t>(number);
  }
  double real(const char* key, double low, double high, std::optional<double> fallback = {}) const {
    const json* value = find(key);
    if (!value) return fallback ? *fallback : static_cast<double>(missing(key));
    const double number = value->is_number() ? value->get<double>() : NAN;
    if (!(number >= low && number <= high)) bad(key, fmt::format("a number from {} to {}", low, high), *value);
    return number;
  }
  bool flag(const char* key, bool fallback) const {
    const json* value = find(key);
    if (!value) return fallback;
    if (!value->is_boolean()) bad(key, "true or false", *value);
    return value->get<bool>();
  }
  std::string text(const char* key, std::optional<std::string> fallback = {}) const {
    const json* value = find(key);
    if (!value && fallback) return *fallback;
    if (!value) missing(key);
    if (!value->is_string()) bad(key, "a string", *value);
    return value->get<std::string>();
  }
  [[noreturn]] void unsupported(const char* key, const std::string& found, const std::string& hint) const {
    throw Error(ErrorCode::kUnsupported, where_, fmt::format("{} {} is not supported", key, found), hint);
  }
  [[noreturn]] void bad(const char* key, const std::string& expected, const json& found) const {
    throw Error(ErrorCode::kInvalidInput, where_,
                fmt::format("\"{}\": expected {}, found {}", key, expected, shortened(found)),
                "the file is damaged, or was edited by hand: download it again");
  }

 private:
  [[noreturn]] int64_t missing(const char* key) const {
    throw Error(ErrorCode::kInvalidInput, where_, fmt::format("\"{}\" is missing", key),
                "download the model's config.json again");
  }
  static std::string shortened(const json& value) {
    std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
    if (text.size() > 80) text = text.substr(0, 77) + "...";
    return text;
  }

  const json* object_;
  std::string where_;
};

enum class Kind { kLlama, kQwen2, kQwen3, kDeepseekV2, kDeepseekV3 };

Kind kind_of(const JsonKeys& keys) {
  const std::string type = keys.text("model_type");
  if (type == "llama") return Kind::kLlama;
  if (type == "qwen2") return Kind::kQwen2;
  if (type == "qwen3") return Kind::kQwen3;
  if (type == "deepseek_v2") return Kind::kDeepseekV2;
  if (type == "deepseek_v3") return Kind::kDeepseekV3;
  keys.unsupported("model_type", fmt::format("\"{}\"", type),
                   "hone runs llama, qwen2, qwen3, deepseek_v2 and deepseek_v3");
}

bool is_deepseek(Kind kind) { return kind == Kind::kDeepseekV2 || kind == Kind::kDeepseekV3; }

void read_scaling(RopeConfig& r, const JsonKeys& scaling, const JsonKeys& keys, double max_positions) {
  const std::string type = scaling.text("rope_type", scaling.text("type", "default"));
  if (type != "yarn" && type != "default" && scaling.real("mscale_all_dim", 0, 1e3, 0.0) != 0)
    scaling.unsupported("mscale_all_dim", fmt::format("with {} scaling", type), "hone computes it with yarn");
  if (type == "default") return;
  // DeepSeek-style configs may leave the factor out of yarn: it is then the ratio of the two lengths.
  const double outer = keys.real("original_max_position_embeddings", 1, kLong, max_positions);
  const double original = scaling.real("original_max_position_embeddings", 1, kLong, outer);
  if (type == "linear") {
    r.scaling = RopeScaling::kLinear;
    r.factor = scaling.real("factor", 1e-3, 1e6);
  } else if (type == "llama3") {
    r.scaling = RopeScaling::kLlama3;
    r.factor = scaling.real("factor", 1e-3, 1e6);
    r.original_max_positions = original;
    r.low_freq_factor = scaling.real("low_freq_factor", 1e-3, 1e6);
    r.high_freq_factor = scaling.real("high_freq_factor", 1e-3, 1e6);
    if (r.high_freq_factor <= r.low_freq_factor)
      throw Error(
          ErrorCode::kInvalidInput, scaling.where(),
          fmt::format("high_freq_factor {} must exceed low_freq_factor {}", r.high_freq_factor, r.low_freq_factor));
  } else if (type == "yarn") {
    r.scaling = RopeScaling::kYarn;
    r.factor = scaling.real("factor", 1e-3, 1e6, max_positions / original);
    r.original_max_positions = original;
    r.beta_fast = scaling.real("beta_fast", 1e-6, 1e6, 32.0);
    r.beta_slow = scaling.real("beta_slow", 1e-6, 1e6, 1.0);
    r.mscale = scaling.real("mscale", 0, 1e3, 0.0);
    r.mscale_all_dim = scaling.real("mscale_all_dim", 0, 1e3, 0.0);
    if (scaling.has("attention_factor")) r.attention_factor = scaling.real("attention_factor", 1e-6, 1e6);
  } else {
    scaling.unsupported("rope scaling", fmt::format("\"{}\"", type), "hone knows default, linear, llama3 and yarn");
  }
}

// "rope_theta" and "rope_scaling" at the top, or both inside "rope_parameters" (transformers 5).
RopeConfig read_rope(const JsonKeys& keys, Kind kind, int64_t dim, int64_t max_positions) {
  RopeConfig r;
  r.dim = dim;
  r.interleaved = kind == Kind::kDeepseekV2 || (kind == Kind::kDeepseekV3 && keys.flag("rope_interleave", true));
  r.theta = keys.real("rope_theta", 1 + 1e-6, 1e12, 10000.0);
  auto scaling = keys.object("rope_scaling");
  if (!scaling) scaling = keys.object("rope_parameters");
  if (!scaling) return r;
  r.theta = scaling->real("rope_theta", 1 + 1e-6, 1e12, r.theta);
  read_scaling(r, *scaling, keys, static_cast<double>(max_positions));
  return r;
}

MlaConfig read_mla(const JsonKeys& keys) {
  MlaConfig mla;
  mla.q_lora_rank = keys.count("q_lora_rank", 1, kWidest, 0);
  mla.kv_lora_rank = keys.count("kv_lora_rank", 1, kWidest);
  mla.qk_nope_head_dim = keys.count("qk_nope_head_dim", 1, 4096);
  mla.qk_rope_head_dim = keys.count("qk_rope_head_dim", 2, 4096);
  mla.v_head_dim = keys.count("v_head_dim", 1, 8192);
  return mla;
}

MoeConfig read_moe(const JsonKeys& keys, bool v3, int64_t layers) {
  MoeConfig moe;
  moe.n_routed_experts = keys.count("n_routed_experts", 1, 65536);
  moe.n_shared_experts = keys.count("n_shared_experts", 0, 65536, 0);
  moe.top_k = keys.count("num_experts_per_tok", 1, moe.n_routed_experts);
  moe.intermediate_size = keys.count("moe_intermediate_size", 1, kWidest);
  moe.first_dense_layers = keys.count("first_k_dense_replace", 0, layers, v3 ? std::min<int64_t>(3, layers) : 0);
  if (keys.count("moe_layer_freq", 1, 4096, 1) != 1)
    keys.unsupported("moe_layer_freq", "above 1", "hone has experts in every layer after the dense ones");
  moe.routed_scaling_factor = keys.real("routed_scaling_factor", 1e-6, 1e6, v3 ? 2.5 : 1.0);
  moe.norm_topk_prob = keys.flag("norm_topk_prob", v3);

  const std::string scoring = keys.text("scoring_func", v3 ? "sigmoid" : "softmax");
  const std::string method = keys.text("topk_method", v3 ? "noaux_tc" : "greedy");
  if (scoring != (v3 ? "sigmoid" : "softmax"))
    keys.unsupported("scoring_func", fmt::format("\"{}\"", scoring),
                     "deepseek_v2 routes by softmax, deepseek_v3 by sigmoid");
  moe.sigmoid = v3;
  if (v3 ? method != "noaux_tc" : method != "greedy" && method != "group_limited_greedy")
    keys.unsupported("topk_method", fmt::format("\"{}\"", method),
                     "deepseek_v2 knows greedy and group_limited_greedy, deepseek_v3 noaux_tc");
  // transformers ignores the flag in deepseek_v2, the authors' code then drops routed_scaling_factor: no published
  // model sets it.
  if (!v3 && moe.norm_topk_prob && moe.top_k > 1)
    keys.unsupported("norm_topk_prob", "true", "deepseek_v2 models are published with norm_topk_prob false");
  if (v3 || method == "group_limited_greedy") {
    moe.n_group = keys.count("n_group", 1, moe.n_routed_experts, v3 ? std::optional<int64_t>(8) : std::nullopt);
    moe.topk_group = keys.count("topk_group", 1, moe.n_group, v3 ? std::optional<int64_t>(4) : std::nullopt);
  }
  moe.group_by_top2 = v3;
  return moe;
}

void refuse_sliding_windows(const JsonKeys& keys, int64_t layers) {
  const char* const hint = "use a model with full attention in every layer";
  if (const json* types = keys.find("layer_types")) {
    if (!types->is_array()) keys.bad("layer_types", "a list", *types);
    for (const json& type : *types)
      if (type != "full_attention")
        keys.unsupported("layer type", type.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 80), hint);
  } else if (keys.flag("use_sliding_window", false) && keys.has("sliding_window") &&
             keys.count("max_window_layers", 0, kWidest, 28) < layers) {
    keys.unsupported("use_sliding_window", "true", hint);
  }
}

void read_special_tokens(ModelConfig& c, const JsonKeys& keys) {
  c.bos_id = keys.count("bos_token_id", -1, kLong, -1);
  const json* eos = keys.find("eos_token_id");
  if (!eos) return;
  for (const json& id : eos->is_array() ? *eos : json::array({*eos})) {
    if (!id.is_number_integer()) keys.bad("eos_token_id", "a token id, or a list of them", *eos);
    if (const auto value = id.get<int64_t>(); value >= 0 && value < c.vocab_size) c.eos_ids.push_back(value);
  }
}

}  // namespace

ModelConfig config_from_json(const json& document, const std::string& where) {
  const JsonKeys keys(document, where);
  const Kind kind = kind_of(keys);
  check_config_keys(document, where);
  if (const std::string act = keys.text("hidden_act", "silu"); act != "silu" && act != "swish")
    keys.unsupported("hidden_act", fmt::format("\"{}\"", act), "hone computes silu");

  ModelConfig c;
  switch (kind) {
    case Kind::kLlama:
      c.family = Family::kLlama;
      break;
    case Kind::kQwen2:
      c.family = Family::kQwen2;
      break;
    case Kind::kQwen3:
      c.family = Family::kQwen3;
      break;
    case Kind::kDeepseekV2:
    case Kind::kDeepseekV3:
      c.family = Family::kDeepseek2;
      break;
  }
  c.hidden_size = keys.count("hidden_size", 1, kWidest);
  c.layers = keys.count("num_hidden_layers", 1, 4096);
  c.heads = keys.count("num_attention_heads", 1, 65536);
  c.kv_heads = keys.count("num_key_value_heads", 1, 65536, c.heads);
  c.intermediate_size = keys.count("intermediate_size", 1, int64_t{1} << 24);
  c.vocab_size = keys.count("vocab_size", 1, int64_t{1} << 30);
  const bool qwen = kind == Kind::kQwen2 || kind == Kind::kQwen3;
  c.max_positions = keys.count("max_position_embeddings", 1, kLong,
                               qwen                        ? 32768
                               : kind == Kind::kDeepseekV3 ? 4096
                                                           : 2048);
  c.rms_eps = static_cast<float>(keys.real("rms_norm_eps", 0, 1, 1e-6));
  c.tied_head = keys.flag("tie_word_embeddings", false);
  c.qk_norm = kind == Kind::kQwen3;

  const bool bias = keys.flag("attention_bias", kind == Kind::kQwen2);
  c.qkv_bias = kind == Kind::kQwen2 || bias;
  c.output_bias = kind != Kind::kQwen2 && bias;
  c.mlp_bias = (kind == Kind::kLlama || kind == Kind::kDeepseekV2) && keys.flag("mlp_bias", false);

  if (is_deepseek(kind)) {
    c.mla = read_mla(keys);
    c.head_dim = c.mla->qk_nope_head_dim + c.mla->qk_rope_head_dim;
    c.kv_heads = c.heads;  // keys and values are expanded to every head
    if (keys.has("n_routed_experts")) c.moe = read_moe(keys, kind == Kind::kDeepseekV3, c.layers);
  } else {
    const int64_t shared_out = c.hidden_size / c.heads;
    c.head_dim = keys.count("head_dim", 1, 65536, kind == Kind::kQwen3 ? 128 : std::max<int64_t>(shared_out, 1));
  }
  if (qwen) refuse_sliding_windows(keys, c.layers);
  c.rope = read_rope(keys, kind, c.mla ? c.mla->qk_rope_head_dim : c.head_dim, c.max_positions);
  read_special_tokens(c, keys);
  check_config(c, where);
  return c;
}

}  // namespace hone::models
