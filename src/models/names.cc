#include "models/names.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/name_pattern.h"

namespace hone::models {
namespace {

struct Pair { std::string_view canonical, gguf; };

constexpr Pair kGlobal[] = {{"model.embed_tokens.weight", "token_embd.weight"},
                            {"model.norm.weight", "output_norm.weight"},
                            {"lm_head.weight", "output.weight"}};

// Modules of one layer; each may have a ".weight" and a ".bias".
constexpr Pair kLayer[] = {
    {"input_layernorm", "attn_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"self_attn.q_a_proj", "attn_q_a"},
    {"self_attn.q_a_layernorm", "attn_q_a_norm"},
    {"self_attn.q_b_proj", "attn_q_b"},
    {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"},
    {"self_attn.kv_a_layernorm", "attn_kv_a_norm"},
    {"self_attn.kv_b_proj", "attn_kv_b"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"mlp.gate", "ffn_gate_inp"},
    {"mlp.shared_experts.gate_proj", "ffn_gate_shexp"},
    {"mlp.shared_experts.up_proj", "ffn_up_shexp"},
    {"mlp.shared_experts.down_proj", "ffn_down_shexp"},
};

constexpr std::string_view kLayers = "model.layers.";

struct LayerName {
  int64_t layer;
  std::string_view rest;  // after "model.layers.N."
};

std::optional<int64_t> number(std::string_view& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

std::optional<LayerName> layer_name(std::string_view canonical) {
  if (!canonical.starts_with(kLayers)) return std::nullopt;
  canonical.remove_prefix(kLayers.size());
  const auto layer = number(canonical);
  if (!layer || !canonical.starts_with(".")) return std::nullopt;
  return LayerName{*layer, canonical.substr(1)};
}

struct Target {
  std::string name;                       // full module name
  std::vector<std::string_view> groups;
};

std::vector<Target> linear_modules(const ModelConfig& c) {
  std::vector<Target> all;
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    const std::string prefix = std::string(kLayers) + std::to_string(layer) + ".";
    auto add = [&](const std::string& name, std::vector<std::string_view> groups) { all.push_back({prefix + name, std::move(groups)}); };
    if (c.mla) {
      std::vector<std::string> names{"kv_a_proj_with_mqa", "kv_b_proj", "o_proj"};
      if (c.mla->q_lora_rank > 0) names.insert(names.end(), {"q_a_proj", "q_b_proj"});
      else names.push_back("q_proj");
      for (const auto& name : names) add("self_attn." + name, {"attention", "mla"});
    } else {
      for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) add(std::string("self_attn.") + name, {"attention"});
    }
    const char* gated[] = {"gate_proj", "up_proj", "down_proj"};
    if (!c.is_moe_layer(layer)) {
      for (const char* name : gated) add(std::string("mlp.") + name, {"mlp"});
      continue;
    }
    for (int64_t e = 0; e < c.moe->n_routed_experts; ++e)
      for (const char* name : gated) add("mlp.experts." + std::to_string(e) + "." + name, {"mlp", "routed_experts"});
    if (c.moe->n_shared_experts > 0)
      for (const char* name : gated) add(std::string("mlp.shared_experts.") + name, {"mlp", "shared_experts"});
  }
  return all;
}

bool matches(const Target& target, const std::string& wanted) {
  if (wanted == "all-linear" || wanted == "all") return !target.groups.empty();
  if (std::find(target.groups.begin(), target.groups.end(), wanted) != target.groups.end()) return true;
  const std::string_view name = target.name;
  return name == wanted || (name.ends_with(wanted) && name[name.size() - wanted.size() - 1] == '.');
}

}  // namespace

std::optional<std::string> gguf_name(std::string_view canonical) {
  for (const Pair& pair : kGlobal)
    if (pair.canonical == canonical) return std::string(pair.gguf);
  const auto layer = layer_name(canonical);
  if (!layer) return std::nullopt;
  const std::string prefix = "blk." + std::to_string(layer->layer) + ".";
  if (layer->rest == "mlp.gate.e_score_correction_bias") return prefix + "exp_probs_b.bias";
  const size_t dot = layer->rest.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view module = layer->rest.substr(0, dot), kind = layer->rest.substr(dot);
  if (kind != ".weight" && kind != ".bias") return std::nullopt;
  for (const Pair& pair : kLayer)
    if (pair.canonical == module) return prefix + std::string(pair.gguf) + std::string(kind);
  return std::nullopt;
}

std::optional<ExpertSlice> gguf_expert_stack(std::string_view canonical) {
  constexpr std::string_view kExperts = "mlp.experts.";
  const auto layer = layer_name(canonical);
  if (!layer || !layer->rest.starts_with(kExperts)) return std::nullopt;
  std::string_view rest = layer->rest.substr(kExperts.size());
  const auto expert = number(rest);
  if (!expert) return std::nullopt;
  for (const Pair& pair : {Pair{".gate_proj.weight", "ffn_gate_exps"}, Pair{".up_proj.weight", "ffn_up_exps"},
                           Pair{".down_proj.weight", "ffn_down_exps"}})
    if (rest == pair.canonical)
      return ExpertSlice{"blk." + std::to_string(layer->layer) + "." + std::string(pair.gguf) + ".weight", *expert};
  return std::nullopt;
}

std::vector<std::string> weight_names(const ModelConfig& c) {
  std::vector<std::string> names{"model.embed_tokens.weight"};
  const std::vector<Target> modules = linear_modules(c);
  size_t next = 0;
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    const std::string prefix = std::string(kLayers) + std::to_string(layer) + ".";
    for (const char* norm : {"input_layernorm", "self_attn.q_norm", "self_attn.k_norm", "self_attn.q_a_layernorm", "self_attn.kv_a_layernorm",
                             "post_attention_layernorm"})
      names.push_back(prefix + norm + ".weight");
    if (c.is_moe_layer(layer)) {
      names.push_back(prefix + "mlp.gate.weight");
      names.push_back(prefix + "mlp.gate.e_score_correction_bias");
    }
    for (; next < modules.size() && modules[next].name.starts_with(prefix); ++next) {
      names.push_back(modules[next].name + ".weight");
      names.push_back(modules[next].name + ".bias");
    }
  }
  names.emplace_back("model.norm.weight");
  if (!c.tied_head) names.emplace_back("lm_head.weight");
  return names;
}

std::vector<std::string> lora_targets(const ModelConfig& config, const std::vector<std::string>& targets) {
  std::vector<Target> modules = linear_modules(config);
  // No group holds the embedding and the head: they are adapted when they are named.
  modules.push_back({"model.embed_tokens", {}});
  modules.push_back({"lm_head", {}});
  std::set<std::string> chosen;
  for (const std::string& wanted : targets.empty() ? std::vector<std::string>{"all-linear"} : targets) {
    const size_t before = chosen.size();
    bool any = false;
    std::optional<NamePattern> regex;
    if (wanted.find_first_of("\\*()[]|^$+?{}") != std::string::npos) regex.emplace(wanted, "lora.target");
    for (const Target& module : modules)
      if (regex ? regex->matches(module.name) : matches(module, wanted)) {
        chosen.insert(module.name);
        any = true;
      }
    if (any || chosen.size() > before) continue;
    std::set<std::string> known{"all-linear", "attention", "mlp", "routed_experts", "shared_experts", "mla"};
    for (const Target& module : modules) known.insert(module.name.substr(module.name.rfind('.') + 1));
    const std::vector<std::string> words(known.begin(), known.end());
    const std::string near = nearest(wanted, words);
    throw Error(ErrorCode::kInvalidInput, "lora.target", fmt::format("\"{}\" matches no linear layer of this {} model", wanted, name(config.family)),
                near.empty() ? fmt::format("use one of: {}", fmt::join(words, ", ")) : fmt::format("did you mean \"{}\"?", near));
  }
  return {chosen.begin(), chosen.end()};
}

}  // namespace hone::models
