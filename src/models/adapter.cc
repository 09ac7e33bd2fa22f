#include "models/adapter.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "models/names.h"

namespace hone::models {
namespace {

// Suffixes when they describe the choice exactly, full names otherwise.
std::vector<std::string> target_modules(const ModelConfig& config, const std::vector<io::LoraPair>& pairs) {
  const auto suffix = [](const std::string& name) { return name.substr(name.rfind('.') + 1); };
  std::map<std::string, size_t> chosen, all;
  for (const io::LoraPair& pair : pairs) ++chosen[suffix(pair.module)];
  for (const std::string& name : lora_targets(config, {})) ++all[suffix(name)];
  std::set<std::string> names;
  for (const io::LoraPair& pair : pairs) {
    const std::string s = suffix(pair.module);
    names.insert(chosen[s] == all[s] ? s : pair.module);
  }
  return {names.begin(), names.end()};
}

}  // namespace

bool has_reordered_rows(Family family, std::string_view module) {
  return family == Family::kLlama && (module.ends_with("self_attn.q_proj") || module.ends_with("self_attn.k_proj"));
}

bool holds_reordered_rows(const ModelConfig& config, std::string_view module) {
  return config.rope.interleaved && has_reordered_rows(config.family, module);
}

Tensor reorder_rotary_rows(const Tensor& matrix, int64_t head_dim, RowOrder order) {
  HONE_CHECK(matrix.size(0) % head_dim == 0 && head_dim % 2 == 0, "{} rows, head size {}", matrix.size(0), head_dim);
  Tensor out = Tensor::empty(matrix.shape(), matrix.dtype());
  const auto bytes = static_cast<size_t>(row_bytes(matrix.dtype(), matrix.elements() / matrix.size(0)));
  const auto* from = static_cast<const std::byte*>(matrix.raw());
  auto* to = static_cast<std::byte*>(out.raw_mutable());
  const int64_t half = head_dim / 2;
  for (int64_t row = 0; row < matrix.size(0); ++row) {
    const int64_t head = row / head_dim * head_dim, r = row % head_dim;  // Hugging Face's row: half r / half, pair r % half
    const auto hf = static_cast<size_t>(row), gguf = static_cast<size_t>(head + 2 * (r % half) + r / half);
    if (order == RowOrder::kToGguf) std::memcpy(to + gguf * bytes, from + hf * bytes, bytes);
    else std::memcpy(to + hf * bytes, from + gguf * bytes, bytes);
  }
  return out;
}

io::LoraAdapter to_adapter(CausalLm& model, const LoraOptions& options, const std::string& base_model) {
  const ModelConfig& config = model.config();
  io::LoraAdapter adapter;
  adapter.base_model = base_model;
  adapter.rank = options.rank;
  adapter.alpha = options.alpha;
  adapter.dropout = options.dropout;
  adapter.rank_stabilized = options.rank_stabilized;
  model.each_linear([&](nn::Linear& linear) {
    if (!linear.has_lora()) return;
    const bool reorder = holds_reordered_rows(config, linear.name);
    const Tensor& b = linear.lora_b.value();
    adapter.pairs.push_back({linear.name, linear.lora_a.value().clone(),
                             reorder ? reorder_rotary_rows(b, config.head_dim, RowOrder::kToHuggingFace) : b.clone(), options.alpha});
  });
  std::sort(adapter.pairs.begin(), adapter.pairs.end(), [](const auto& x, const auto& y) { return x.module < y.module; });
  adapter.target_modules = target_modules(config, adapter.pairs);
  return adapter;
}

namespace {

// Calls take(layer, A, B, scale) for every pair, B's rows in this model's order. Returns how many there are; throws for what does not fit.
template <class Each, class Take>
int64_t match_adapter(const ModelConfig& config, Each each_linear, const io::LoraAdapter& adapter, const std::string& where, Take take) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kUnsupported, where, what + ", which is not computed", "merge it with PEFT (merge_and_unload, save_pretrained) and take the merged model");
  };
  if (!adapter.whole.empty()) refuse(fmt::format("the adapter replaces {}", adapter.whole.front().first));
  std::map<std::string_view, const io::LoraPair*> pairs;
  for (const io::LoraPair& pair : adapter.pairs) {
    if (pair.magnitude.defined()) refuse(fmt::format("the adapter of {} has a magnitude (DoRA)", pair.module));
    if (pair.module == "model.embed_tokens" || pair.module == "lm_head") refuse(fmt::format("{} is adapted", pair.module));
    pairs[pair.module] = &pair;
  }
  int64_t count = 0;
  each_linear([&](auto& linear) {
    const auto it = pairs.find(linear.name);
    if (it == pairs.end()) return;
    const Tensor& a = it->second->a;
    Tensor b = it->second->b;
    if (a.size(1) != linear.weight.size(1) || b.size(0) != linear.weight.size(0))
      throw Error(ErrorCode::kInvalidInput, where,
                  fmt::format("{}: lora_A {} and lora_B {} do not fit the weight {}", linear.name, a.shape().str(), b.shape().str(),
                              linear.weight.shape().str()),
                  "the adapter was made for another model");
    if (holds_reordered_rows(config, linear.name))
      b = reorder_rotary_rows(b, config.head_dim, RowOrder::kToGguf);
    take(linear, a, b, static_cast<float>(adapter.scale(*it->second)));
    pairs.erase(it);
    ++count;
  });
  if (!pairs.empty())
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("{} is not a linear layer of this {} model", pairs.begin()->first, name(config.family)),
                "the adapter was made for another model");
  return count;
}

}  // namespace

int64_t attach_adapter(CausalLm& model, const io::LoraAdapter& adapter, const std::string& where, bool trainable) {
  return match_adapter(model.config(), [&](auto fn) { model.each_linear(fn); }, adapter, where, [&](nn::Linear& linear, const Tensor& a, const Tensor& b, float scale) {
    linear.lora_a = trainable ? Variable::parameter(a.clone(), linear.name + ".lora_A.weight") : Variable(a);
    linear.lora_b = trainable ? Variable::parameter(b.clone(), linear.name + ".lora_B.weight") : Variable(b);
    linear.lora_scale = scale;
    linear.lora_dropout = static_cast<float>(adapter.dropout);
  });
}

nn::AdapterLayers adapter_layers(const CausalLm& model, const io::LoraAdapter& adapter, const std::string& where) {
  nn::AdapterLayers layers;
  match_adapter(model.config(), [&](auto fn) { model.visit_linears(fn); }, adapter, where, [&](const nn::Linear& linear, const Tensor& a, const Tensor& b, float scale) {
    if (linear.name.find(".mlp.experts.") != std::string::npos)
      throw Error(ErrorCode::kUnsupported, where, fmt::format("changes the routed expert {}", linear.name), "serve the merged model: hone export RUN --format gguf");
    if (layers.size() <= linear.ordinal) layers.resize(linear.ordinal + 1);
    ops::Lora& lora = layers[linear.ordinal];
    lora.a = Variable(a);
    lora.b = Variable(b);
    lora.scale = scale;
  });
  return layers;
}

}  // namespace hone::models
