// Fresh adapters on a model.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/name_pattern.h"
#include "base/thread_pool.h"
#include "models/causal_lm.h"
#include "models/lora_start.h"
#include "models/names.h"
#include "ops/magnitude.h"

namespace hone::models {
namespace {

constexpr int64_t kMostRank = 4096;

template <class Value>
Value first_match(const std::vector<std::pair<std::string, Value>>& patterns, std::string_view module, Value otherwise, const char* where) {
  for (const auto& [pattern, value] : patterns)
    if (NamePattern::suffix(pattern, where).matches(module)) return value;
  return otherwise;
}

// A pattern that matches no chosen module is a mistake: its author wanted something of it.
template <class Value>
void check_patterns(const std::vector<std::pair<std::string, Value>>& patterns, const std::vector<std::string>& modules, const char* where) {
  for (const auto& [pattern, value] : patterns) {
    const NamePattern compiled = NamePattern::suffix(pattern, where);
    if (std::none_of(modules.begin(), modules.end(), [&](const std::string& module) { return compiled.matches(module); }))
      throw Error(ErrorCode::kInvalidInput, where, fmt::format("\"{}\" matches none of the {} modules that lora.target names", pattern, modules.size()), "patterns match the ends of names such as model.layers.0.self_attn.q_proj");
  }
}

class Adding {
 public:
  Adding(CausalLm& model, const LoraOptions& options) : model_(model), options_(options), targets_(lora_targets(model.config(), options.targets)) {}

  int64_t run() {
    std::erase_if(targets_, [&](const std::string& module) {
      return std::any_of(options_.whole.begin(), options_.whole.end(), [&](const std::string& end) { return module.ends_with(end); });
    });
    check_patterns(options_.rank_pattern, targets_, "lora.rank_pattern");
    check_patterns(options_.alpha_pattern, targets_, "lora.alpha_pattern");
    if (options_.dora && options_.dropout > 0)
      throw Error(ErrorCode::kUnsupported, "lora.dora", "with lora.dropout PEFT multiplies by the weight twice, once behind the dropout; that is not computed", "set lora.dropout to 0, or lora.dora to false");
    if (options_.dora && changes_weight()) throw Error(ErrorCode::kUnsupported, "lora.dora", "does not go together with lora.init pissa or olora", "choose one of them");
    int64_t count = 0;
    model_.each_linear([&](nn::Linear& linear) { count += add(linear); });
    count += add(model_.head());
    count += add(model_.embedding());
    return count;
  }

 private:
  bool changes_weight() const { return options_.start == LoraStart::kPissa || options_.start == LoraStart::kOlora; }
  bool chosen(const std::string& name) const { return std::binary_search(targets_.begin(), targets_.end(), name); }

  int64_t rank(const std::string& module) const {
    const int64_t r = options_.rank_of(module);
    if (r < 1 || r > kMostRank) throw Error(ErrorCode::kInvalidInput, "lora.r", fmt::format("expected 1 to {}, found {} for {}", kMostRank, r, module));
    return r;
  }
  float scale(const std::string& module, int64_t r) const {
    const auto rank = static_cast<double>(r);
    return static_cast<float>(options_.alpha_of(module) / (options_.rank_stabilized ? std::sqrt(rank) : rank));
  }
  [[noreturn]] static void refuse(const char* setting, const std::string& module, const std::string& why) {
    throw Error(ErrorCode::kUnsupported, setting, fmt::format("{}: {}", module, why), "choose other modules with lora.target");
  }

  static Tensor random(Shape shape, const Rng& rng, float bound, bool normal) {
    Tensor t = Tensor::empty(shape, DType::kF32);
    for (int64_t i = 0; i < t.elements(); ++i)
      t.data_mutable<float>()[i] = bound * (normal ? rng.normal(static_cast<uint64_t>(i)) : 2 * rng.uniform(static_cast<uint64_t>(i)) - 1);
    return t;
  }
  Rng rng(uint32_t ordinal) const { return {options_.seed, Rng::kInit + (ordinal << 8), 0}; }

  bool add(nn::Linear& linear) {
    if (!chosen(linear.name)) return false;
    const int64_t in = linear.weight.size(1), out = linear.weight.size(0), r = rank(linear.name);
    const bool fused_elsewhere = model_.config().family == Family::kDeepseek2 && linear.name.find(".mlp.") != std::string::npos;
    if (fused_elsewhere && (r != options_.rank || options_.alpha_of(linear.name) != options_.alpha))
      refuse("lora.rank_pattern", linear.name, "PEFT, which fuses experts, could not load it: feed-forward layers of deepseek2 have the adapter's own rank and alpha");
    if (fused_elsewhere && options_.dora) refuse("lora.dora", linear.name, "PEFT, which fuses experts, could not load it: feed-forward layers of deepseek2 have no magnitudes");
    linear.lora_scale = scale(linear.name, r);
    linear.lora_dropout = options_.dropout;
    Tensor a, b;
    if (changes_weight()) {
      take_over(linear, r);
      a = linear.start_a.clone();
      b = linear.start_b.clone();
    } else {
      const bool gaussian = options_.start == LoraStart::kGaussian;
      a = random({r, in}, rng(linear.ordinal), gaussian ? 1 / static_cast<float>(r) : 1 / std::sqrt(static_cast<float>(in)), gaussian);
      b = Tensor::zeros({out, r}, DType::kF32);
    }
    linear.lora_a = Variable::parameter(a, linear.name + ".lora_A.weight");
    linear.lora_b = Variable::parameter(b, linear.name + ".lora_B.weight");
    if (options_.dora) decompose(linear);
    return true;
  }

  void decompose(nn::Linear& linear) const {
    if (linear.name == "lm_head") refuse("lora.dora", linear.name, "the head and the embedding are adapted without magnitudes only");
    if (linear.name.find(".mlp.experts.") != std::string::npos) refuse("lora.dora", linear.name, "routed experts have no magnitudes, in PEFT neither");
    linear.row_squares = ops::row_squares(linear.weight.value());
    const Tensor norms = ops::row_norms(linear.weight.value(), linear.row_squares, linear.lora(nn::Pass{}));
    linear.magnitude = Variable::parameter(norms, linear.name + ".lora_magnitude_vector");
  }

  // The weight without what A and B begin with: of its own type when that is a plain one, else BF16.
  void take_over(nn::Linear& linear, int64_t r) const {
    const Tensor stored = linear.weight.value();
    const DType type = stored.dtype();
    if (linear.weight.leaf() || type == DType::kI8 || stored.nf4_state())
      refuse("lora.init", linear.name, fmt::format("pissa and olora take a part out of the weight, which is held as {}", name(type)));
    const Part kind = options_.start == LoraStart::kPissa ? Part::kPrincipal : Part::kOrthonormal;
    if (const std::string why = part_obstacle(stored.shape(), kind, r, linear.lora_scale); !why.empty())
      refuse("lora.init", linear.name, why);
    const Tensor weight = ops::decoded(stored);
    const LowRank part = part_of(weight, kind, r, linear.lora_scale);
    linear.start_a = part.a;
    linear.start_b = part.b;
    kernels::Gemm g;
    g.m = weight.size(0);
    g.n = weight.size(1);
    g.products[0] = {ops::matrix(part.b), false, ops::matrix(part.a), false, -linear.lora_scale};
    g.c = weight.raw_mutable();
    g.ldc = g.n;
    g.accumulate = true;
    g.precision = kernels::Precision::kF32;
    ops::kernels_for(weight).gemm(&g, 1, ThreadPool::global());
    if (type == DType::kF32) {
      linear.weight = Variable(weight);
    } else {
      Tensor rounded = Tensor::empty(weight.shape(), DType::kBF16);
      ops::kernels_for(weight).axpby(weight.elements(), 1, weight.raw(), DType::kF32, 0, rounded.raw_mutable(), DType::kBF16, ThreadPool::global());
      linear.weight = Variable(rounded);
    }
  }

  bool add(nn::Embedding& embedding) {
    const std::string name = "model.embed_tokens";
    if (!chosen(name)) return false;
    if (options_.dora) refuse("lora.dora", name, "the head and the embedding are adapted without magnitudes only");
    if (changes_weight()) refuse("lora.init", name, "the embedding begins with zeros");
    const int64_t tokens = embedding.table.size(0), width = embedding.table.size(1), r = rank(name);
    embedding.lora_scale = scale(name, r);
    embedding.lora_a = Variable::parameter(Tensor::zeros({tokens, r}, DType::kF32), name + ".lora_embedding_A");
    embedding.lora_b = Variable::parameter(random({width, r}, rng(model_.head().ordinal + 1), 1, /*normal=*/true), name + ".lora_embedding_B");
    return true;
  }

  CausalLm& model_;
  const LoraOptions& options_;
  std::vector<std::string> targets_;
};

}  // namespace

int64_t LoraOptions::rank_of(std::string_view module) const { return first_match(rank_pattern, module, rank, "lora.rank_pattern"); }
double LoraOptions::alpha_of(std::string_view module) const { return first_match(alpha_pattern, module, alpha, "lora.alpha_pattern"); }

int64_t add_lora(CausalLm& model, const LoraOptions& options) { return Adding(model, options).run(); }

}  // namespace hone::models
