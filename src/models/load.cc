// From named tensors of a file to a composed model. Weight names appear here and nowhere else, as Hugging Face writes them.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/thread_pool.h"
#include "models/causal_lm.h"
#include "models/rope_table.h"
#include "quant/codec.h"
#include "quant/int8.h"
#include "quant/nf4.h"
#include "quant/panels.h"

namespace hone::models {
namespace {

constexpr int64_t kDefaultPositions = 32768;

bool plain(DType type) { return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16; }

Tensor decoded(const Tensor& weight, DType type) {
  return weight.dtype() == type ? weight : ops::decoded(weight, type);
}

Tensor nf4_quantized(const Tensor& weight) {
  const Tensor values = decoded(weight, DType::kF32);
  auto codes = Storage::allocate(static_cast<size_t>((values.elements() + 1) / 2));
  auto state = std::make_shared<quant::Nf4State>(
      quant::nf4_quantize(values.data<float>(), values.elements(), reinterpret_cast<uint8_t*>(codes->data())));
  return Tensor::nf4(weight.shape(), codes, state);
}

// Rows are decoded a few at a time, so that the matrix never exists in F32.
Tensor int8_quantized(const Tensor& weight) {
  const int64_t rows = weight.size(0), cols = weight.size(1);
  auto codes = Storage::allocate(static_cast<size_t>(rows * cols)), scales = Storage::allocate(static_cast<size_t>(rows) * sizeof(float));
  const kernels::Matrix stored = ops::matrix(weight);
  constexpr int64_t kRows = 16;
  ThreadPool::global().ranges(rows, kRows, [&](int64_t begin, int64_t end) {
    std::vector<float> values(static_cast<size_t>(kRows * cols));
    ops::kernels_for(weight).decode(ops::rows_of(stored, begin, end - begin), values.data(), DType::kF32, ThreadPool::global());
    for (int64_t r = begin; r < end; ++r)
      reinterpret_cast<float*>(scales->data())[r] =
          quant::int8_quantize_row(values.data() + (r - begin) * cols, cols, reinterpret_cast<int8_t*>(codes->data()) + r * cols);
  });
  return Tensor::int8(weight.shape(), codes, scales);
}

// The same blocks in panels; others as they are.
Tensor in_panels(const Tensor& weight) {
  if (weight.shape().rank() != 2 || weight.in_panels() || !quant::has_panels(weight.dtype(), weight.size(1))) return weight;
  const DType type = weight.dtype();
  const int64_t rows = weight.size(0), cols = weight.size(1), panels = quant::panels_of(rows), bytes = quant::panel_bytes(type, cols);
  auto codes = Storage::allocate(static_cast<size_t>(panels * bytes));
  ThreadPool::global().ranges(panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t row = p * quant::kPanelRows;
      quant::to_panel(type, weight.data<std::byte>() + row * row_bytes(type, cols), std::min(quant::kPanelRows, rows - row), cols, codes->data() + p * bytes);
    }
  });
  return Tensor::panels(weight.shape(), type, std::move(codes));
}

}  // namespace

class CausalLm::Loader {
 public:
  Loader(const ModelSource& source, const LoadOptions& options)
      : source_(source), options_(options), config_(source.config()),
        in_panels_(options.panels && !options.train_all && options.activation == DType::kBF16 && kernels::kernels().has_int8) {}

  CausalLm load() {
    model_.config_ = config_;
    model_.activation_ = options_.activation;
    model_.replaced_ = options_.replaced;
    const std::string embedding = "model.embed_tokens.weight", head = "lm_head.weight";
    const auto alone = [&](const std::string& name) { return options_.replaced.contains(name) || (!options_.train_all && trained(name)); };
    const bool bytes = options_.base == BaseFormat::kInt8 && !options_.train_all;
    const bool untied = alone(embedding) || alone(head), own_head = untied || (!config_.tied_head && source_.has(head));
    model_.embedding_.table = bytes && !own_head ? matrix(embedding) : table(embedding);
    const bool copied = options_.base != BaseFormat::kAsStored || options_.train_all || in_panels_;
    for (int64_t layer = 0; layer < config_.layers; ++layer) {
      model_.blocks_.push_back(block(layer));
      if (copied) source_.drop_pages();  // so that the peak holds one block of the file, not all of it
    }
    model_.final_norm_ = vector("model.norm.weight");
    model_.head_.name = "lm_head";
    model_.head_.ordinal = next_ordinal_++;
    model_.head_.weight = !own_head ? model_.embedding_.table : bytes ? matrix(head) : table(head);
    check_whole();
    int64_t positions = options_.max_positions;
    if (positions <= 0) positions = std::min<int64_t>(config_.max_positions, kDefaultPositions);
    model_.rope_ = rope_table(config_, positions);
    release_cached_memory();
    if (copied) source_.drop_pages();
    return std::move(model_);
  }

 private:
  // The weight, wherever it comes from. The head of a tied model that shall have one of its own begins as the embedding.
  Tensor stored(const std::string& name) const {
    if (const auto it = options_.replaced.find(name); it != options_.replaced.end()) return it->second;
    return source_.tensor(name == "lm_head.weight" && !source_.has(name) ? "model.embed_tokens.weight" : name);
  }

  // Whether the weight or bias is trained itself.
  bool trained(const std::string& name) const {
    const std::string_view module = std::string_view(name).substr(0, name.rfind('.'));
    return options_.train_all || std::any_of(options_.whole.begin(), options_.whole.end(), [&](const std::string& end) { return module.ends_with(end); });
  }

  // Every ending must have found a module.
  void check_whole() const {
    for (const std::string& end : options_.whole)
      if (std::none_of(model_.full_parameters_.begin(), model_.full_parameters_.end(), [&](const auto& leaf) { return leaf->name.substr(0, leaf->name.rfind('.')).ends_with(end); }))
        throw Error(ErrorCode::kInvalidInput, "lora.modules_to_save", fmt::format("\"{}\" ends the name of no module with weights of this {} model", end, hone::models::name(config_.family)),
                    "for example embed_tokens, lm_head, norm");
  }

  // A parameter when it is trained, else a constant; counts the bytes that are not the file's own.
  Variable own(Tensor value, const std::string& name, bool mapped) {
    if (!trained(name)) {
      size_t bytes = value.bytes();
      if (const quant::Nf4State* scales = value.nf4_state()) bytes += scales->absmax_code.size() + 4 * scales->nested_absmax.size();
      (mapped && !value.writable() ? model_.mapped_bytes_ : model_.owned_bytes_) += bytes;
      return Variable(std::move(value));
    }
    Tensor copy = value.dtype() == DType::kF32 && !mapped ? value : decoded(value, DType::kF32);
    if (!copy.writable()) copy = copy.clone();
    Variable parameter = Variable::parameter(copy, name);
    model_.full_parameters_.push_back(parameter.leaf());
    model_.owned_bytes_ += copy.bytes();
    return parameter;
  }

  // Embedding and head: never NF4, so that rare tokens keep their precision (an int8 head keeps it nearly, and a tied embedding shares it).
  Variable table(const std::string& name) {
    const Tensor stored = this->stored(name);
    if (trained(name)) return own(stored, name, true);
    switch (options_.base) {
      case BaseFormat::kF32: return own(decoded(stored, DType::kF32), name, stored.dtype() == DType::kF32);
      case BaseFormat::kBF16:
        if (plain(stored.dtype())) return own(decoded(stored, DType::kBF16), name, stored.dtype() == DType::kBF16);
        break;
      case BaseFormat::kAsStored:
      case BaseFormat::kInt8:
      case BaseFormat::kNF4: break;
    }
    return own(in_panels_ ? in_panels(stored) : stored, name, true);
  }

  Variable matrix(const std::string& name) {
    if (options_.base == BaseFormat::kInt8 && !trained(name)) return own(int8_quantized(stored(name)), name, false);
    if (options_.base == BaseFormat::kNF4 && !trained(name)) return own(nf4_quantized(stored(name)), name, false);
    return table(name);
  }

  Variable vector(const std::string& name) {
    const Tensor stored = this->stored(name);
    return own(decoded(stored, DType::kF32), name, stored.dtype() == DType::kF32);
  }
  Variable optional_vector(const std::string& name) { return source_.has(name) ? vector(name) : Variable{}; }

  nn::Linear linear(const std::string& name) {
    nn::Linear l;
    l.name = name;
    l.weight = matrix(name + ".weight");
    l.bias = optional_vector(name + ".bias");
    l.ordinal = next_ordinal_++;
    return l;
  }

  nn::SwiGlu gated(const std::string& prefix) {
    return {linear(prefix + "gate_proj"), linear(prefix + "up_proj"), linear(prefix + "down_proj")};
  }

  nn::Attention attention(int64_t layer, const std::string& prefix) {
    nn::Attention a;
    a.layer = layer;
    a.heads = config_.heads;
    a.kv_heads = config_.kv_heads;
    a.scale = 1 / std::sqrt(static_cast<float>(config_.head_dim));
    a.norm_eps = config_.rms_eps;
    a.q = linear(prefix + "q_proj");
    a.k = linear(prefix + "k_proj");
    a.v = linear(prefix + "v_proj");
    a.o = linear(prefix + "o_proj");
    if (config_.qk_norm) {
      a.q_norm = vector(prefix + "q_norm.weight");
      a.k_norm = vector(prefix + "k_norm.weight");
    }
    return a;
  }

  nn::LatentAttention latent_attention(int64_t layer, const std::string& prefix) {
    const MlaConfig& mla = *config_.mla;
    nn::LatentAttention a;
    a.layer = layer;
    a.heads = config_.heads;
    a.nope_dim = mla.qk_nope_head_dim;
    a.rope_dim = mla.qk_rope_head_dim;
    a.value_dim = mla.v_head_dim;
    a.latent_dim = mla.kv_lora_rank;
    a.scale = attention_scale(config_);
    a.norm_eps = mla.norm_eps;
    if (mla.q_lora_rank > 0) {
      a.q_a = linear(prefix + "q_a_proj");
      a.q_a_norm = vector(prefix + "q_a_layernorm.weight");
      a.q_b = linear(prefix + "q_b_proj");
    } else {
      a.q = linear(prefix + "q_proj");
    }
    a.kv_a = linear(prefix + "kv_a_proj_with_mqa");
    a.kv_a_norm = vector(prefix + "kv_a_layernorm.weight");
    a.kv_b = linear(prefix + "kv_b_proj");
    a.o = linear(prefix + "o_proj");
    return a;
  }

  nn::MixtureOfExperts experts(const std::string& prefix) {
    const MoeConfig& moe = *config_.moe;
    nn::MixtureOfExperts m;
    m.router = vector(prefix + "gate.weight");
    m.routing.top_k = moe.top_k;
    m.routing.sigmoid = moe.sigmoid;
    m.routing.groups = moe.n_group;
    m.routing.top_groups = moe.topk_group;
    m.routing.group_by_top2 = moe.group_by_top2;
    m.routing.normalize = moe.norm_topk_prob;
    m.routing.scale = static_cast<float>(moe.routed_scaling_factor);
    if (source_.has(prefix + "gate.e_score_correction_bias"))
      m.routing.choice_bias = decoded(source_.tensor(prefix + "gate.e_score_correction_bias"), DType::kF32);
    for (int64_t e = 0; e < moe.n_routed_experts; ++e) {
      const std::string expert = prefix + "experts." + std::to_string(e) + ".";
      m.gate.push_back(linear(expert + "gate_proj"));
      m.up.push_back(linear(expert + "up_proj"));
      m.down.push_back(linear(expert + "down_proj"));
    }
    if (moe.n_shared_experts > 0) m.shared = gated(prefix + "shared_experts.");
    return m;
  }

  nn::Block block(int64_t layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    nn::Block b;
    b.ordinal = static_cast<uint32_t>(layer);
    b.norm_eps = config_.rms_eps;
    b.attention_norm = vector(prefix + "input_layernorm.weight");
    b.feed_forward_norm = vector(prefix + "post_attention_layernorm.weight");
    if (config_.mla) b.attention = latent_attention(layer, prefix + "self_attn.");
    else b.attention = attention(layer, prefix + "self_attn.");
    if (config_.is_moe_layer(layer)) b.feed_forward = experts(prefix + "mlp.");
    else b.feed_forward = gated(prefix + "mlp.");
    return b;
  }

  const ModelSource& source_;
  const LoadOptions& options_;
  const ModelConfig& config_;
  const bool in_panels_;
  CausalLm model_;
  uint32_t next_ordinal_ = 0;
};

CausalLm CausalLm::load(const ModelSource& source, const LoadOptions& options) { return Loader(source, options).load(); }

}  // namespace hone::models
