#include "models/adapter_start.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "models/adapter.h"
#include "models/lora_start.h"

namespace hone::models {
namespace {

// The same scale at the doubled rank.
double doubled_alpha(double alpha, bool rank_stabilized) { return alpha * (rank_stabilized ? std::sqrt(2.0) : 2.0); }

// The weight that the pair changes: F32, rows in Hugging Face's order.
Tensor weight_of(const ModelSource& source, const io::LoraPair& pair, const std::string& where) {
  const std::string name = pair.module + ".weight";
  const bool tied = pair.module == "lm_head" && !source.has(name);
  if (!tied && !source.has(name))
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("{} is not a linear layer of this model", pair.module),
                "the adapter was made for another model");
  const Tensor stored = source.tensor(tied ? "model.embed_tokens.weight" : name);
  if (stored.shape().rank() != 2 || stored.size(0) != pair.b.size(0) || stored.size(1) != pair.a.size(1))
    throw Error(ErrorCode::kInvalidInput, where,
                fmt::format("{}: lora_A {} and lora_B {} do not fit the weight {}", pair.module, pair.a.shape().str(), pair.b.shape().str(),
                            stored.shape().str()),
                "the adapter was made for another model");
  Tensor weight = Tensor::empty(stored.shape(), DType::kF32);
  ops::kernels_for(weight).decode(ops::matrix(stored), weight.raw_mutable(), DType::kF32, ThreadPool::global());
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

io::LoraAdapter read_adapter(const ModelSource& source, const std::filesystem::path& folder) {
  io::LoraAdapter adapter = io::read_peft(folder);
  if (adapter.start == io::AdapterStart::kBase) return adapter;
  const std::string where = folder.string();
  const bool principal = adapter.start == io::AdapterStart::kPissa;
  for (io::LoraPair& pair : adapter.pairs) {
    const auto refuse = [&](const std::string& why) {
      throw Error(ErrorCode::kUnsupported, where, fmt::format("{}: {}", pair.module, why),
                  "save it as a plain adapter: save_pretrained(path_initial_model_for_weight_conversion=...) in PEFT");
    };
    // PEFT saves the head's own weight beside its pair, and that weight has lost the start.
    if (std::any_of(adapter.whole.begin(), adapter.whole.end(),
                    [&](const auto& weight) { return weight.first == pair.module + ".weight"; }))
      continue;
    const double scale = adapter.scale(pair);
    if (pair.module.ends_with("embed_tokens")) refuse("the start of an embedding's adapter is not found again");
    if (pair.magnitude.defined()) refuse("a magnitude (DoRA) and a start in the weight do not go together");
    const Tensor weight = weight_of(source, pair, where);
    const int64_t r = pair.a.size(0), most = std::min(weight.size(0), weight.size(1));
    if (r > most) refuse(fmt::format("rank {} is more than the weight {} has", r, weight.shape().str()));
    if (principal && (r > kMostPrincipal || !(scale > 0)))
      refuse(fmt::format("the start is found for ranks up to {} and an alpha above 0", kMostPrincipal));
    const LowRank start = principal ? principal_part(weight, r, scale) : orthonormal_part(weight, r);
    pair = since_start(std::move(pair), start.a, start.b, adapter.rank_stabilized);
  }
  adapter.rank *= 2;
  adapter.alpha = doubled_alpha(adapter.alpha, adapter.rank_stabilized);
  adapter.start = io::AdapterStart::kBase;
  return adapter;
}

}  // namespace hone::models
