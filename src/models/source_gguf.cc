#include "models/source_gguf.h"

#include <cstdlib>
#include <set>

#include "models/format_keys.h"
#include "models/names.h"
#include "models/weights.h"
#include "quant/codec.h"

namespace hone::models {
namespace {

// kv_b_proj (H·(nope+value), latent) from the two tensors that newer deepseek2 files hold instead:
// attn_k_b (H, latent, nope), transposed per head, and attn_v_b (H, value, latent). In memory of its own: F32 and F16 as they
// are, anything else as BF16.
Tensor join_kv_b(const Tensor& k_b, const Tensor& v_b, const ModelConfig& c, const std::string& where) {
  const int64_t heads = c.heads, nope = c.mla->qk_nope_head_dim, value = c.mla->v_head_dim, latent = c.mla->kv_lora_rank;
  if (k_b.shape() != Shape{heads, latent, nope} || v_b.shape() != Shape{heads, value, latent})
    throw Error(ErrorCode::kInvalidInput, where,
                fmt::format("attn_k_b and attn_v_b: expected {} and {}, found {} and {}", Shape{heads, latent, nope}.str(),
                            Shape{heads, value, latent}.str(), k_b.shape().str(), v_b.shape().str()));
  Tensor joined = Tensor::empty({heads * (nope + value), latent}, DType::kF32);
  auto* out = joined.data_mutable<float>();
  auto row_of = [](const Tensor& t, int64_t row, std::vector<float>& values) {
    const int64_t cols = t.shape()[-1], bytes = row_bytes(t.dtype(), cols);
    values.resize(static_cast<size_t>(cols));
    quant::decode_row(t.dtype(), static_cast<const std::byte*>(t.raw()) + row * bytes, cols, values.data());
  };
  std::vector<float> row;
  for (int64_t h = 0; h < heads; ++h) {
    float* head = out + h * (nope + value) * latent;
    for (int64_t l = 0; l < latent; ++l) {
      row_of(k_b, h * latent + l, row);
      for (int64_t n = 0; n < nope; ++n) head[n * latent + l] = row[static_cast<size_t>(n)];
    }
    for (int64_t v = 0; v < value; ++v) {
      row_of(v_b, h * value + v, row);
      for (int64_t l = 0; l < latent; ++l) head[(nope + v) * latent + l] = row[static_cast<size_t>(l)];
    }
  }
  if (k_b.dtype() == DType::kF32) return joined;
  Tensor narrow = Tensor::empty(joined.shape(), k_b.dtype() == DType::kF16 ? DType::kF16 : DType::kBF16);
  quant::encode_row(narrow.dtype(), joined.data<float>(), joined.elements(), narrow.raw_mutable());
  return narrow;
}

// The two tensors that a kv_b_proj weight may be split into; empty names for anything else.
std::pair<std::string, std::string> kv_b_parts(std::string_view name) {
  constexpr std::string_view kEnd = "attn_kv_b.weight";
  const auto whole = gguf_name(name);
  if (!whole || !whole->ends_with(kEnd)) return {};
  const std::string prefix = whole->substr(0, whole->size() - kEnd.size());
  return {prefix + "attn_k_b.weight", prefix + "attn_v_b.weight"};
}

}  // namespace

GgufSource::GgufSource(const std::filesystem::path& path) : gguf_(io::Gguf::open(path)) {
  path_ = path;
  config_ = config_from_gguf(gguf_);
  notes_ = check_gguf_keys(gguf_);
  generation_ = generation_from_gguf(gguf_);
  refuse_unknown_tensors();
}

// A tensor that the architecture has no place for would change the result; llama.cpp refuses such files too.
void GgufSource::refuse_unknown_tensors() const {
  std::set<std::string> known = {"rope_freqs.weight"};
  if (config_.tied_head) known.insert("output.weight");
  each_weight(config_, [&](const Weight& weight) {
    if (weight.presence == Presence::kForbidden) return;
    if (const auto stack = gguf_expert_stack(weight.name)) known.insert(stack->tensor);
    else if (const auto name = gguf_name(weight.name)) known.insert(*name);
    const auto [k_b, v_b] = kv_b_parts(weight.name);
    if (!k_b.empty()) known.insert({k_b, v_b});
  });
  for (const std::string& name : gguf_.tensor_names()) {
    if (known.contains(name)) continue;
    // Layers that predict further tokens stand after the model's own.
    if (name.starts_with("blk.") && std::strtoll(name.c_str() + 4, nullptr, 10) >= config_.layers) continue;
    throw Error(ErrorCode::kUnsupported, path_.string(), fmt::format("tensor \"{}\" has no place in a {} model as hone computes it", name, models::name(config_.family)),
                "the file holds another architecture under this name");
  }
}

bool GgufSource::has(std::string_view name) const {
  if (const auto expert = gguf_expert_stack(name)) return gguf_.has(expert->tensor);
  const auto own = gguf_name(name);
  if (own && gguf_.has(*own)) return true;
  const auto [k_b, v_b] = kv_b_parts(name);
  return !k_b.empty() && gguf_.has(k_b) && gguf_.has(v_b);
}

Tensor GgufSource::tensor(std::string_view name) const {
  if (const auto expert = gguf_expert_stack(name)) {
    const Tensor stack = gguf_.tensor(expert->tensor);
    if (stack.shape().rank() != 3 || expert->expert >= stack.size(0))
      throw Error(ErrorCode::kInvalidInput, path_.string(),
                  fmt::format("tensor \"{}\" {} holds no expert {}", expert->tensor, stack.shape().str(), expert->expert));
    return stack.rows(expert->expert, expert->expert + 1).reshape({stack.size(1), stack.size(2)});
  }
  const auto own = gguf_name(name);
  const auto [k_b, v_b] = kv_b_parts(name);
  if (!k_b.empty() && !gguf_.has(*own) && gguf_.has(k_b))
    return join_kv_b(gguf_.tensor(k_b), gguf_.tensor(v_b), config_, path_.string());
  if (!own) throw Error(ErrorCode::kInvalidInput, path_.string(), fmt::format("weight \"{}\" has no place in a GGUF file", name));
  return gguf_.tensor(*own);
}

}  // namespace hone::models
