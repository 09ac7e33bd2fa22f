#include <algorithm>
#include <cmath>

#include "models/rope_table.h"

namespace hone::models {
namespace {

// Reads "<architecture>.<key>" with a range.
class GgufKeys {
 public:
  GgufKeys(const io::Gguf& gguf, std::string architecture) : gguf_(gguf), prefix_(std::move(architecture) + ".") {}

  int64_t count(const std::string& key, int64_t low, int64_t high, std::optional<int64_t> fallback = {}) const {
    const auto found = of_all_layers(key);
    if (!found && fallback) return *fallback;
    const int64_t value = found ? *found : gguf_.integer(prefix_ + key);
    if (value < low || value > high) out_of_range(key, value, low, high);
    return value;
  }
  double real(const std::string& key, double low, double high, std::optional<double> fallback = {}) const {
    const auto found = gguf_.find_float(prefix_ + key);
    if (!found && fallback) return *fallback;
    const double value = found ? *found : gguf_.real(prefix_ + key);
    if (!(value >= low && value <= high)) out_of_range(key, value, low, high);
    return value;
  }
  std::optional<std::string> text(const std::string& key) const { return gguf_.find_string(prefix_ + key); }
  bool flag(const std::string& key, bool fallback) const { return gguf_.find_bool(prefix_ + key).value_or(fallback); }
  bool has(const std::string& key) const { return gguf_.metadata().find(prefix_ + key) != gguf_.metadata().end(); }

 private:
  // A number, or a list with the same number for every layer.
  std::optional<int64_t> of_all_layers(const std::string& key) const {
    const auto it = gguf_.metadata().find(prefix_ + key);
    const auto* list = it == gguf_.metadata().end() ? nullptr : std::get_if<std::vector<int64_t>>(&it->second);
    if (!list) return gguf_.find_int(prefix_ + key);
    if (list->empty() || std::any_of(list->begin(), list->end(), [&](int64_t n) { return n != list->front(); }))
      throw Error(ErrorCode::kUnsupported, gguf_.path().string(), fmt::format("metadata key \"{}{}\" differs from layer to layer", prefix_, key),
                  "hone runs models whose layers are alike");
    return list->front();
  }
  template <class T>
  [[noreturn]] void out_of_range(const std::string& key, T value, T low, T high) const {
    throw Error(ErrorCode::kInvalidInput, gguf_.path().string(),
                fmt::format("metadata key \"{}{}\": expected {} to {}, found {}", prefix_, key, low, high, value),
                "the file is damaged, or was converted by a tool that hone does not know");
  }
  const io::Gguf& gguf_;
  std::string prefix_;
};

constexpr int64_t kLargestCount = 1 << 20;

// deepseek2 in llama.cpp scales attention scores by k² and rotated parts by c, where f is the factor and l ten times the
// log multiplier:
//   yarn   c = attn_factor, or attn_factor · (1 + 0.1 · ln f) where l is 0;  k = c · (1 + 0.1 · l · ln f)
//   else   c = attn_factor;  k = attn_factor · (1 + 0.1 · ln f) · (1 + 0.1 · l · ln f)
// Here: c is the rotation factor, and k what mscale_all_dim makes of the factor.
void latent_scales(RopeConfig& r, const io::Gguf& gguf, const GgufKeys& keys, double attn_factor) {
  const double log_factor = std::log(r.factor), multiplier = 10 * keys.real("rope.scaling.yarn_log_multiplier", -100, 100, 0.0);
  const bool yarn = r.scaling == RopeScaling::kYarn;
  const double rotation = yarn && multiplier == 0 ? attn_factor * yarn_mscale(r.factor, 1) : attn_factor;
  const double score = (yarn ? rotation : attn_factor * (1 + 0.1 * log_factor)) * (1 + 0.1 * multiplier * log_factor);
  if (std::abs(score - 1) > 1e-5) {
    const double all_dim = yarn && r.factor > 1 ? (score - 1) / (0.1 * log_factor) : -1;
    if (all_dim < 0)
      throw Error(ErrorCode::kUnsupported, gguf.path().string(),
                  fmt::format("rope scaling makes llama.cpp multiply the attention scores of deepseek2 by {:.4g}, which is not supported", score * score),
                  "convert the model again, with yarn scaling or none");
    r.mscale = r.mscale_all_dim = all_dim;
  }
  if (std::abs(rotation - rotation_factor(r)) > 1e-6 * rotation) r.attention_factor = rotation;
}

RopeConfig rope(const io::Gguf& gguf, const GgufKeys& keys, Family family, int64_t head_dim, int64_t context) {
  RopeConfig r;
  r.theta = keys.real("rope.freq_base", 1 + 1e-6, 1e12, 10000.0);
  r.dim = keys.count("rope.dimension_count", 2, head_dim, head_dim);
  // llama files hold query and key rows reordered for neighbouring pairs; deepseek2 was trained with them.
  r.interleaved = family == Family::kLlama || family == Family::kDeepseek2;
  // As llama.cpp has it: linear where no type is given, and a factor of 0 is none.
  std::string type = keys.text("rope.scaling.type").value_or("linear");
  if (type.empty()) type = "none";
  double factor = keys.real("rope.scaling.factor", 0, 1e6, 0.0);
  if (!keys.has("rope.scaling.factor")) factor = keys.real("rope.scale_linear", 0, 1e6, 0.0);
  if (factor == 0 || type == "none") factor = 1;
  if (type == "linear" || type == "none") {
    r.scaling = factor == 1 ? RopeScaling::kNone : RopeScaling::kLinear;
    r.factor = factor;
  } else if (type == "yarn") {
    r.scaling = RopeScaling::kYarn;
    r.factor = factor;
    r.original_max_positions = static_cast<double>(keys.count("rope.scaling.original_context_length", 1, int64_t{1} << 32, context));
    r.beta_fast = keys.real("rope.scaling.yarn_beta_fast", 1e-6, 1e6, 32.0);
    r.beta_slow = keys.real("rope.scaling.yarn_beta_slow", 1e-6, 1e6, 1.0);
  } else {
    throw Error(ErrorCode::kUnsupported, gguf.path().string(), fmt::format("rope scaling \"{}\" is not supported", type),
                "hone knows none, linear and yarn, and llama3's factors");
  }
  const double attn_factor = keys.real("rope.scaling.attn_factor", 1e-6, 1e6, 1.0);
  if (family == Family::kDeepseek2) latent_scales(r, gguf, keys, attn_factor);
  else if (attn_factor != 1) r.attention_factor = attn_factor * rotation_factor(r);
  if (gguf.has("rope_freqs.weight")) {
    const Tensor divisors = gguf.tensor("rope_freqs.weight");
    if (divisors.dtype() != DType::kF32 || divisors.elements() != r.dim / 2)
      throw Error(ErrorCode::kInvalidInput, gguf.path().string(),
                  fmt::format("tensor \"rope_freqs.weight\": expected {} F32 values, found {} {}", r.dim / 2,
                              divisors.elements(), name(divisors.dtype())));
    r.freq_divisors.assign(divisors.data<float>(), divisors.data<float>() + divisors.elements());
    for (float divisor : r.freq_divisors)
      if (!(divisor > 0) || !std::isfinite(divisor))
        throw Error(ErrorCode::kInvalidInput, gguf.path().string(), "tensor \"rope_freqs.weight\" holds a value that is not positive");
  }
  for (const char* name : {"rope_factors_long.weight", "rope_factors_short.weight"})
    if (gguf.has(name))
      throw Error(ErrorCode::kUnsupported, gguf.path().string(), fmt::format("tensor \"{}\": longrope is not supported", name),
                  "hone knows none, linear and yarn, and llama3's factors");
  return r;
}

void read_mla(ModelConfig& c, const GgufKeys& keys) {
  MlaConfig mla;
  mla.q_lora_rank = keys.count("attention.q_lora_rank", 0, kLargestCount, 0);
  mla.kv_lora_rank = keys.count("attention.kv_lora_rank", 1, kLargestCount);
  mla.qk_rope_head_dim = keys.count("rope.dimension_count", 2, 4096);
  // Newer files give the latent's sizes as key_length and the heads' own as key_length_mla.
  const bool split = keys.has("attention.key_length_mla");
  const int64_t key = keys.count(split ? "attention.key_length_mla" : "attention.key_length", mla.qk_rope_head_dim + 1, 8192);
  mla.v_head_dim = keys.count(split ? "attention.value_length_mla" : "attention.value_length", 1, 8192);
  mla.qk_nope_head_dim = key - mla.qk_rope_head_dim;
  c.head_dim = key;
  c.kv_heads = c.heads;
  c.mla = mla;
}

// Which function scores experts. GLM-4.7-Flash came without the key and with sigmoid gates.
bool sigmoid_gates(const io::Gguf& gguf, const GgufKeys& keys, int64_t layers) {
  const bool glm = (layers == 47 || layers == 48) && gguf.has("token_embd.weight") && gguf.tensor("token_embd.weight").size(0) == 154880;
  const int64_t gating = keys.count("expert_gating_func", 0, 255, 0);
  if (gating == 0) return glm;
  if (gating > 2)
    throw Error(ErrorCode::kUnsupported, gguf.path().string(), fmt::format("expert_gating_func {} is not supported", gating),
                "hone scores experts by softmax (1) or sigmoid (2)");
  return gating == 2;
}

void read_moe(ModelConfig& c, const io::Gguf& gguf, const GgufKeys& keys) {
  MoeConfig moe;
  moe.n_routed_experts = keys.count("expert_count", 1, 65536);
  moe.n_shared_experts = keys.count("expert_shared_count", 0, 65536, 0);
  moe.top_k = keys.count("expert_used_count", 1, moe.n_routed_experts);
  moe.intermediate_size = keys.count("expert_feed_forward_length", 1, kLargestCount);
  moe.first_dense_layers = keys.count("leading_dense_block_count", 0, c.layers, 0);
  moe.sigmoid = sigmoid_gates(gguf, keys, c.layers);
  moe.n_group = keys.count("expert_group_count", 1, moe.n_routed_experts, 1);
  moe.topk_group = keys.count("expert_group_used_count", 1, moe.n_group, 1);
  // DeepSeek-V3 files written before these two keys existed: its published values.
  if (moe.sigmoid && !keys.has("expert_group_count") && moe.n_routed_experts == 256) {
    moe.n_group = 8;
    moe.topk_group = 4;
  }
  moe.group_by_top2 = moe.sigmoid;
  moe.norm_topk_prob = keys.flag("expert_weights_norm", false);
  moe.routed_scaling_factor = keys.real("expert_weights_scale", 1e-6, 1e6, 1.0);
  c.moe = moe;
}

void check_scale(const io::Gguf& gguf, const GgufKeys& keys, const ModelConfig& c) {
  if (!c.mla && keys.count("attention.value_length", 1, 65536, c.head_dim) != c.head_dim)
    throw Error(ErrorCode::kUnsupported, gguf.path().string(), "attention.value_length differs from key_length, which only deepseek2 may do");
  const double scale = keys.real("attention.scale", 0, 1e6, 0.0), own = double{attention_scale(c)};
  if (scale != 0 && std::abs(scale - own) > 1e-4 * own)
    throw Error(ErrorCode::kUnsupported, gguf.path().string(), fmt::format("attention.scale {:g} is not supported: hone computes {:g}", scale, own));
}

void add_end(std::vector<int64_t>& ids, int64_t id) {
  if (id >= 0 && std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

}  // namespace

ModelConfig config_from_gguf(const io::Gguf& gguf) {
  const std::string architecture = gguf.string("general.architecture");
  ModelConfig c;
  if (architecture == "llama") c.family = Family::kLlama;
  else if (architecture == "qwen2") c.family = Family::kQwen2;
  else if (architecture == "qwen3") c.family = Family::kQwen3;
  else if (architecture == "deepseek2") c.family = Family::kDeepseek2;
  else
    throw Error(ErrorCode::kUnsupported, gguf.path().string(), fmt::format("architecture \"{}\" is not supported", architecture),
                "hone runs llama, qwen2, qwen3 and deepseek2");
  const GgufKeys keys(gguf, architecture);
  c.hidden_size = keys.count("embedding_length", 1, kLargestCount);
  c.layers = keys.count("block_count", 1, 4096);
  c.layers -= keys.count("nextn_predict_layers", 0, c.layers - 1, 0);  // which only guess further tokens
  c.heads = keys.count("attention.head_count", 1, 65536);
  c.kv_heads = keys.count("attention.head_count_kv", 1, c.heads, c.heads);
  c.intermediate_size = keys.count("feed_forward_length", 1, int64_t{1} << 24);
  c.max_positions = keys.count("context_length", 1, int64_t{1} << 32);
  c.rms_eps = static_cast<float>(keys.real("attention.layer_norm_rms_epsilon", 0, 1));
  c.head_dim = keys.count("attention.key_length", 1, 65536, c.hidden_size / c.heads);
  c.qk_norm = c.family == Family::kQwen3;
  if (c.family == Family::kDeepseek2) read_mla(c, keys);
  if (c.family == Family::kDeepseek2 && keys.count("expert_count", 0, 65536, 0) > 0) read_moe(c, gguf, keys);
  if (c.family != Family::kDeepseek2 && keys.count("expert_count", 0, 65536, 0) > 0)
    throw Error(ErrorCode::kUnsupported, gguf.path().string(), fmt::format("{} with experts is not supported", architecture),
                "use a dense model, or one of the deepseek2 family");
  c.rope = rope(gguf, keys, c.family, c.mla ? c.mla->qk_rope_head_dim : c.head_dim, c.max_positions);
  check_scale(gguf, keys, c);
  c.vocab_size = gguf.tensor("token_embd.weight").size(0);
  c.tied_head = !gguf.has("output.weight");
  c.bos_id = gguf.find_int("tokenizer.ggml.bos_token_id").value_or(-1);
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    add_end(c.eos_ids, gguf.find_int(key).value_or(-1));
  if (const auto* ids = gguf.find_ints("hone.stop_token_ids"))
    for (const int64_t id : *ids) add_end(c.eos_ids, id);
  check_config(c, gguf.path().string());
  return c;
}

}  // namespace hone::models
