#include "models/adapter_start.h"

#include <algorithm>
#include <cmath>

#include "models/adapter.h"
#include "models/lora_start.h"

namespace hone::models {
namespace {

// The same scale at the doubled rank.
double doubled_alpha(double alpha, bool rank_stabilized) { return alpha * (rank_stabilized ? std::sqrt(2.0) : 2.0); }

// The weight that the pair changes: F32, rows in Hugging Face's order.
Tensor weight_of(const ModelSource& source, const io::LoraPair& pair, const std::string& where) {
  const std::string name = stored_name(source, pair.module + ".weight");
  if (!source.has(name))
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("{} is not a linear layer of this model", pair.module),
                "the adapter was made for another model");
  const Tensor stored = source.tensor(name);
  check_fit(where, pair, stored.shape());
  const Tensor weight = ops::decoded(stored);
  if (!holds_reordered_rows(source.config(), pair.module)) return weight;
  return reorder_rotary_rows(weight, source.config().head_dim, RowOrder::kToHuggingFace);
}

}  // namespace

io::LoraPair since_start(io::LoraPair pair, const Tensor& start_a, const Tensor& start_b, bool rank_stabilized) {
  const int64_t r = pair.a.size(0), in = pair.a.size(1), out = pair.b.size(0);
  Tensor a = Tensor::empty({2 * r, in}, DType::kF32), b = Tensor::empty({out, 2 * r}, DType::kF32);
  std::copy_n(pair.a.data<float>(), r * in, a.data_mutable<float>());
  std::copy_n(start_a.data<float>(), r * in, a.data_mutable<float>() + r * in);
  for (int64_t n = 0; n < out; ++n)
    for (int64_t k = 0; k < r; ++k) {
      b.data_mutable<float>()[n * 2 * r + k] = pair.b.data<float>()[n * r + k];
      b.data_mutable<float>()[n * 2 * r + r + k] = -start_b.data<float>()[n * r + k];
    }
  pair.a = a;
  pair.b = b;
  pair.alpha = doubled_alpha(pair.alpha, rank_stabilized);
  return pair;
}

void double_rank(io::LoraAdapter& adapter) {
  adapter.rank *= 2;
  adapter.alpha = doubled_alpha(adapter.alpha, adapter.rank_stabilized);
}

io::LoraAdapter for_whole_base(io::LoraAdapter adapter, const ModelSource& source, const std::string& where) {
  if (adapter.start == io::AdapterStart::kBase) return adapter;
  const Part kind = adapter.start == io::AdapterStart::kPissa ? Part::kPrincipal : Part::kOrthonormal;
  for (io::LoraPair& pair : adapter.pairs) {
    // PEFT saves the head's own weight beside its pair, and that weight has lost the start.
    if (std::any_of(adapter.whole.begin(), adapter.whole.end(),
                    [&](const auto& weight) { return weight.first == pair.module + ".weight"; }))
      continue;
    const auto refuse = [&](const std::string& why) {
      throw Error(ErrorCode::kUnsupported, where, fmt::format("{}: {}", pair.module, why),
                  "save it as a plain adapter: save_pretrained(path_initial_model_for_weight_conversion=...) in PEFT");
    };
    if (pair.module.ends_with("embed_tokens")) refuse("the start of an embedding's adapter is not found again");
    if (pair.magnitude.defined()) refuse("a magnitude (DoRA) and a start in the weight do not go together");
    const Tensor weight = weight_of(source, pair, where);
    const int64_t r = pair.a.size(0);
    const double scale = adapter.scale(pair);
    if (const std::string why = part_obstacle(weight.shape(), kind, r, scale); !why.empty()) refuse(why);
    const LowRank start = part_of(weight, kind, r, scale);
    pair = since_start(std::move(pair), start.a, start.b, adapter.rank_stabilized);
  }
  double_rank(adapter);
  adapter.start = io::AdapterStart::kBase;
  return adapter;
}

io::LoraAdapter read_adapter(const ModelSource& source, const std::filesystem::path& folder) {
  return for_whole_base(io::read_peft(folder), source, folder.string());
}

}  // namespace hone::models
