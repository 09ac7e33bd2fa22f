#include "models/adapter.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "models/adapter_start.h"
#include "models/names.h"
#include "ops/magnitude.h"

namespace hone::models {
namespace {

// Transformers 5 fuses the routed experts of deepseek2, and PEFT takes every target that ends in gate_proj, up_proj or down_proj for theirs: the
// layers of the same names outside the experts are found only when their weights are named.
bool named_by_weight(const ModelConfig& config, std::string_view module) {
  return config.family == Family::kDeepseek2 && module.find(".mlp.") != std::string_view::npos && module.find(".mlp.experts.") == std::string_view::npos;
}

// Suffixes when they describe the choice exactly, full names otherwise.
std::vector<std::string> target_modules(const ModelConfig& config, const std::vector<io::LoraPair>& pairs) {
  const auto suffix = [](const std::string& name) { return name.substr(name.rfind('.') + 1); };
  std::map<std::string, size_t> chosen, all;
  for (const io::LoraPair& pair : pairs) ++chosen[suffix(pair.module)];
  for (const std::string& name : lora_targets(config, {"all-linear", "embed_tokens", "lm_head"})) ++all[suffix(name)];
  std::set<std::string> names;
  for (const io::LoraPair& pair : pairs) {
    const std::string s = suffix(pair.module);
    names.insert(chosen[s] == all[s] ? s : pair.module);
  }
  return {names.begin(), names.end()};
}

Tensor transpose(const Tensor& m) {
  const int64_t rows = m.size(0), cols = m.size(1);
  Tensor out = Tensor::empty({cols, rows}, DType::kF32);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) out.data_mutable<float>()[c * rows + r] = m.data<float>()[r * cols + c];
  return out;
}

constexpr std::string_view kEmbedding = "model.embed_tokens", kHead = "lm_head";

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
  const auto in_order = [&](const std::string& module, const Tensor& t) {
    return holds_reordered_rows(config, module) ? reorder_rotary_rows(t, config.head_dim, RowOrder::kToHuggingFace) : t.clone();
  };
  io::LoraAdapter adapter;
  adapter.base_model = base_model;
  adapter.rank = options.rank;
  adapter.alpha = options.alpha;
  adapter.dropout = options.dropout;
  adapter.rank_stabilized = options.rank_stabilized;
  bool doubled = false;
  const auto add = [&](nn::Linear& linear) {
    if (!linear.has_lora()) return;
    io::LoraPair pair{linear.name, linear.lora_a.value().clone(), in_order(linear.name, linear.lora_b.value()), options.alpha_of(linear.name)};
    if (linear.magnitude.defined()) pair.magnitude = in_order(linear.name, linear.magnitude.value());
    if (linear.start_a.defined()) {
      const Tensor start_b = in_order(linear.name, linear.start_b);
      pair = since_start(std::move(pair), linear.start_a, start_b, options.rank_stabilized);
    }
    doubled |= linear.start_a.defined();
    adapter.pairs.push_back(std::move(pair));
  };
  model.each_linear(add);
  add(model.head());
  if (const nn::Embedding& embedding = model.embedding(); embedding.has_lora()) {
    const std::string module(kEmbedding);
    adapter.pairs.push_back({module, transpose(embedding.lora_a.value()), embedding.lora_b.value().clone(), options.alpha_of(module)});
  }
  if (doubled) double_rank(adapter);
  for (const auto& leaf : model.parameters())
    if (!is_adapter_leaf(leaf->name)) adapter.whole.emplace_back(leaf->name, in_order(leaf->name.substr(0, leaf->name.rfind('.')), leaf->value));
  std::sort(adapter.pairs.begin(), adapter.pairs.end(), [](const auto& x, const auto& y) { return x.module < y.module; });
  std::vector<io::LoraPair> modules;
  for (const io::LoraPair& pair : adapter.pairs) {
    if (named_by_weight(config, pair.module)) adapter.target_parameters.push_back(pair.module + ".weight");
    else modules.push_back(pair);
  }
  adapter.target_modules = target_modules(config, modules);
  return adapter;
}

std::map<std::string, Tensor> replaced_weights(const ModelSource& source, const io::LoraAdapter& adapter, const std::string& where) {
  std::map<std::string, Tensor> replaced;
  const ModelConfig& config = source.config();
  for (const auto& [name, value] : adapter.whole) {
    const std::string weight = stored_name(source, name);
    if (!source.has(weight))
      throw Error(ErrorCode::kInvalidInput, where, fmt::format("{} is no weight of this {} model", name, models::name(config.family)), "the adapter was made for another model");
    const Tensor stored = source.tensor(weight);
    if (stored.shape() != value.shape())
      throw Error(ErrorCode::kInvalidInput, where, fmt::format("{} is {}, the model's {}", name, value.shape().str(), stored.shape().str()),
                  name.find("embed_tokens") != std::string::npos || name == "lm_head.weight" ? "the adapter belongs to a base with another vocabulary: save the base that it was trained on, resized, and name it with --base"
                                                                                            : "the adapter was made for another model");
    Tensor ordered = holds_reordered_rows(config, name.substr(0, name.rfind('.'))) ? reorder_rotary_rows(value, config.head_dim, RowOrder::kToGguf) : value;
    const Tensor before = ops::decoded(stored);
    if (!std::equal(before.data<float>(), before.data<float>() + before.elements(), ordered.data<float>())) replaced.emplace(name, std::move(ordered));
  }
  return replaced;
}

namespace {

[[noreturn]] void misfit(const std::string& where, const io::LoraPair& pair, const Shape& weight) {
  throw Error(ErrorCode::kInvalidInput, where,
              fmt::format("{}: lora_A {} and lora_B {} do not fit the weight {}", pair.module, pair.a.shape().str(),
                          pair.b.shape().str(), weight.str()),
              "the adapter was made for another model");
}

}  // namespace

void check_fit(const std::string& where, const io::LoraPair& pair, const Shape& weight) {
  if (weight.rank() != 2 || pair.a.size(1) != weight[1] || pair.b.size(0) != weight[0]) misfit(where, pair, weight);
}

namespace {

// Calls take(layer, pair) for every pair of a linear layer, rows in this model's order; the head is one. Returns how many there are; throws for
// what does not fit. The embedding's pair is left to the caller.
template <class Each, class Take>
int64_t match_adapter(const ModelConfig& config, Each each_linear, const io::LoraAdapter& adapter, const std::string& where, Take take) {
  std::map<std::string_view, const io::LoraPair*> pairs;
  for (const io::LoraPair& pair : adapter.pairs)
    if (pair.module != kEmbedding) pairs[pair.module] = &pair;
  int64_t count = 0;
  each_linear([&](auto& linear) {
    const auto it = pairs.find(linear.name);
    if (it == pairs.end()) return;
    io::LoraPair pair = *it->second;
    check_fit(where, pair, linear.weight.shape());
    if (holds_reordered_rows(config, linear.name)) {
      pair.b = reorder_rotary_rows(pair.b, config.head_dim, RowOrder::kToGguf);
      if (pair.magnitude.defined()) pair.magnitude = reorder_rotary_rows(pair.magnitude, config.head_dim, RowOrder::kToGguf);
    }
    take(linear, pair);
    pairs.erase(it);
    ++count;
  });
  if (!pairs.empty())
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("{} is not a linear layer of this {} model", pairs.begin()->first, name(config.family)),
                "the adapter was made for another model");
  return count;
}

[[noreturn]] void not_computed(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kUnsupported, where, what, "merge the adapter with PEFT (merge_and_unload, save_pretrained) and take the merged model");
}

}  // namespace

int64_t attach_adapter(CausalLm& model, const io::LoraAdapter& adapter, const std::string& where, bool trainable) {
  const auto variable = [&](const Tensor& value, const std::string& name) { return trainable ? Variable::parameter(value.clone(), name) : Variable(value); };
  int64_t count = match_adapter(model.config(), [&](auto fn) { model.each_linear(fn); fn(model.head()); }, adapter, where, [&](nn::Linear& linear, const io::LoraPair& pair) {
    if (pair.magnitude.defined() && linear.name == kHead) not_computed(where, "the head has a magnitude (DoRA)");
    if (pair.magnitude.defined() && linear.name.find(".mlp.experts.") != std::string::npos) not_computed(where, fmt::format("the routed expert {} has a magnitude (DoRA)", linear.name));
    linear.lora_a = variable(pair.a, linear.name + ".lora_A.weight");
    linear.lora_b = variable(pair.b, linear.name + ".lora_B.weight");
    linear.lora_scale = static_cast<float>(adapter.scale(pair));
    linear.lora_dropout = static_cast<float>(adapter.dropout);
    if (!pair.magnitude.defined()) return;
    linear.magnitude = variable(pair.magnitude, linear.name + ".lora_magnitude_vector");
    linear.row_squares = ops::row_squares(linear.weight.value());
    if (!trainable) linear.row_norms = ops::row_norms(linear.weight.value(), linear.row_squares, linear.lora(nn::Pass{}));
  });
  for (const io::LoraPair& pair : adapter.pairs) {
    if (pair.module != kEmbedding) continue;
    nn::Embedding& embedding = model.embedding();
    if (pair.magnitude.defined()) not_computed(where, "the embedding has a magnitude (DoRA)");
    if (pair.a.size(1) != embedding.table.size(0) || pair.b.size(0) != embedding.table.size(1)) misfit(where, pair, embedding.table.shape());
    embedding.lora_a = variable(transpose(pair.a), pair.module + ".lora_embedding_A");
    embedding.lora_b = variable(pair.b, pair.module + ".lora_embedding_B");
    embedding.lora_scale = static_cast<float>(adapter.scale(pair));
    ++count;
  }
  return count;
}

nn::AdapterLayers adapter_layers(const CausalLm& model, const io::LoraAdapter& adapter, const std::string& where) {
  const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::kUnsupported, where, what, "serve the merged model: hone export RUN --format gguf"); };
  if (!adapter.whole.empty()) refuse(fmt::format("replaces {}", adapter.whole.front().first));
  nn::AdapterLayers layers;
  match_adapter(model.config(), [&](auto fn) { model.visit_linears(fn); fn(model.head()); }, adapter, where, [&](const nn::Linear& linear, const io::LoraPair& pair) {
    if (linear.name.find(".mlp.experts.") != std::string::npos) refuse(fmt::format("changes the routed expert {}", linear.name));
    if (linear.name == kHead) refuse("changes the head");
    if (pair.magnitude.defined()) refuse(fmt::format("has a magnitude for {} (DoRA)", linear.name));
    if (layers.size() <= linear.ordinal) layers.resize(linear.ordinal + 1);
    ops::Lora& lora = layers[linear.ordinal];
    lora.a = Variable(pair.a);
    lora.b = Variable(pair.b);
    lora.scale = static_cast<float>(adapter.scale(pair));
  });
  for (const io::LoraPair& pair : adapter.pairs)
    if (pair.module == kEmbedding) refuse("changes the embedding");
  return layers;
}

}  // namespace hone::models
