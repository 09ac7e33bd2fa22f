#include "recipes/read_gguf_lora.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "models/adapter.h"
#include "models/names.h"
#include "quant/codec.h"

namespace hone::recipes {
namespace {

class Reader {
 public:
  Reader(const std::filesystem::path& file, const models::ModelSource& source) : gguf_(io::Gguf::open(file)), where_(file.string()), source_(source) {}

  io::LoraAdapter read() {
    if (gguf_.find_string("general.type").value_or("") != "adapter" || gguf_.find_string("adapter.type").value_or("") != "lora")
      throw Error(ErrorCode::kInvalidInput, where_, "is a GGUF file, but not a LoRA adapter (general.type, adapter.type)", "name an adapter, such as hone export --format gguf-lora writes");
    const models::ModelConfig& config = source_.config();
    adapter_.base_model = source_.path().string();
    adapter_.alpha = gguf_.real("adapter.lora.alpha");
    for (const std::string& module : models::lora_targets(config, {"all-linear", "lm_head"})) read(module);
    read_embedding();
    for (const std::string& name : gguf_.tensor_names())
      if (!used_.contains(name)) throw Error(ErrorCode::kUnsupported, where_, fmt::format("tensor {} belongs to no linear layer of this {} model", name, models::name(config.family)), "the adapter was made for another model");
    if (adapter_.pairs.empty()) throw Error(ErrorCode::kInvalidInput, where_, "holds no tensors", "write the adapter again");
    for (const io::LoraPair& pair : adapter_.pairs) adapter_.target_modules.push_back(pair.module);
    return std::move(adapter_);
  }

 private:
  // (R, K) or (E, R, K) as F32; undefined when the file has no such tensor.
  Tensor values(const std::string& name) {
    if (!gguf_.has(name)) return {};
    used_.insert(name);
    const Tensor stored = gguf_.tensor(name);
    Tensor out = Tensor::empty(stored.shape(), DType::kF32);
    const int64_t cols = stored.shape()[-1], rows = stored.elements() / cols, bytes = row_bytes(stored.dtype(), cols);
    for (int64_t r = 0; r < rows; ++r)
      quant::decode_row(stored.dtype(), static_cast<const std::byte*>(stored.raw()) + r * bytes, cols, out.data_mutable<float>() + r * cols);
    return out;
  }

  // Both halves of a tensor's change, or neither; `stack` of them for 3-dimensional tensors (0: a plain matrix).
  bool both(const std::string& tensor, int64_t stack, Tensor& a, Tensor& b) {
    a = values(tensor + ".lora_a");
    b = values(tensor + ".lora_b");
    if (!a.defined() && !b.defined()) return false;
    const int64_t rank = stack > 0 ? 3 : 2;
    const bool fits = a.defined() && b.defined() && a.shape().rank() == rank && b.shape().rank() == rank && a.shape()[-2] == b.shape()[-1] &&
                      (stack == 0 || (a.size(0) == stack && b.size(0) == stack));
    if (!fits) throw Error(ErrorCode::kInvalidInput, where_, fmt::format("{}: lora_a and lora_b do not fit each other", tensor), "write the adapter again");
    return true;
  }

  static Tensor slice(const Tensor& stack, int64_t index) {
    Tensor out = Tensor::empty({stack.size(1), stack.size(2)}, DType::kF32);
    std::memcpy(out.raw_mutable(), stack.data<float>() + index * out.elements(), out.bytes());
    return out;
  }

  static bool zero(const Tensor& m) {
    return std::all_of(m.data<float>(), m.data<float>() + m.elements(), [](float x) { return x == 0; });
  }

  // The file scales each tensor by alpha over its own R; alpha 0 means no scaling, as in llama.cpp.
  void add(const std::string& module, Tensor a, Tensor b) {
    if (adapter_.rank == 0) adapter_.rank = a.size(0);
    const Tensor weight = source_.tensor(module + ".weight");
    if (a.size(1) != weight.size(1) || b.size(0) != weight.size(0))
      throw Error(ErrorCode::kInvalidInput, where_, fmt::format("{}: lora_a {} and lora_b {} do not fit the weight {}", module, a.shape().str(), b.shape().str(), weight.shape().str()), "the adapter was made for another model");
    const double alpha = adapter_.alpha != 0 ? adapter_.alpha : static_cast<double>(a.size(0));
    adapter_.pairs.push_back({module, std::move(a), std::move(b), alpha});
  }

  // A is the same for every head and half (k_b's is lora_bᵀ); B's rows are, head after head, k_b's lora_aᵀ and v_b's lora_b.
  bool read_latent(const std::string& module, const std::string& whole) {
    const models::ModelConfig& c = source_.config();
    const std::string prefix = whole.substr(0, whole.rfind("kv_b.weight"));
    Tensor ka, kb, va, vb;
    const bool keys = both(prefix + "k_b.weight", c.heads, ka, kb), rows = both(prefix + "v_b.weight", c.heads, va, vb);
    if (!keys && !rows) return false;
    const auto refuse = [&] {
      throw Error(ErrorCode::kUnsupported, where_, fmt::format("{}: the halves k_b and v_b are adapted in different ways", module), "hone reads adapters of the whole kv_b_proj");
    };
    if (!keys || !rows) refuse();
    const int64_t rank = va.size(1), latent = va.size(2), nope = c.mla->qk_nope_head_dim, value = c.mla->v_head_dim;
    if (ka.size(1) != rank || ka.size(2) != nope || kb.size(1) != latent || vb.size(1) != value) refuse();
    const Tensor a = slice(va, 0);
    Tensor b = Tensor::empty({c.heads * (nope + value), rank}, DType::kF32);
    for (int64_t h = 0; h < c.heads; ++h) {
      const float *head_va = va.data<float>() + h * rank * latent, *head_kb = kb.data<float>() + h * latent * rank, *head_ka = ka.data<float>() + h * rank * nope;
      for (int64_t r = 0; r < rank; ++r)
        for (int64_t l = 0; l < latent; ++l)
          if (head_va[r * latent + l] != a.data<float>()[r * latent + l] || head_kb[l * rank + r] != head_va[r * latent + l]) refuse();
      float* to = b.data_mutable<float>() + h * (nope + value) * rank;
      for (int64_t n = 0; n < nope; ++n)
        for (int64_t r = 0; r < rank; ++r) to[n * rank + r] = head_ka[r * nope + n];
      std::memcpy(to + nope * rank, vb.data<float>() + h * value * rank, static_cast<size_t>(value * rank) * sizeof(float));
    }
    add(module, a, std::move(b));
    return true;
  }

  // A (V, R): a token's part is a row.
  void read_embedding() {
    const Tensor a = values("token_embd.weight.lora_a"), b = values("token_embd.weight.lora_b");
    if (!a.defined() && !b.defined()) return;
    if (!a.defined() || !b.defined() || a.shape().rank() != 2 || b.shape().rank() != 2 || a.size(1) != b.size(1))
      throw Error(ErrorCode::kInvalidInput, where_, "token_embd.weight: lora_a and lora_b do not fit each other", "write the adapter again");
    if (source_.config().tied_head)
      throw Error(ErrorCode::kUnsupported, where_, "adapts the embedding of a model whose head is the embedding; the format cannot say whether the head is meant", "use the adapter of PEFT that it was made from");
    Tensor turned = Tensor::empty({a.size(1), a.size(0)}, DType::kF32);
    for (int64_t v = 0; v < a.size(0); ++v)
      for (int64_t r = 0; r < a.size(1); ++r) turned.data_mutable<float>()[r * a.size(0) + v] = a.data<float>()[v * a.size(1) + r];
    const Tensor weight = source_.tensor("model.embed_tokens.weight");
    if (a.size(0) != weight.size(0) || b.size(0) != weight.size(1))
      throw Error(ErrorCode::kInvalidInput, where_, fmt::format("token_embd.weight: lora_a {} and lora_b {} do not fit {}", a.shape().str(), b.shape().str(), weight.shape().str()), "the adapter was made for another model");
    if (adapter_.rank == 0) adapter_.rank = a.size(1);
    adapter_.pairs.push_back({"model.embed_tokens", turned, b, adapter_.alpha != 0 ? adapter_.alpha : static_cast<double>(a.size(1))});
  }

  void read(const std::string& module) {
    const models::ModelConfig& config = source_.config();
    Tensor a, b;
    if (const auto expert = models::gguf_expert_stack(module + ".weight")) {
      if (!both(expert->tensor, config.moe->n_routed_experts, a, b)) return;
      if (Tensor one = slice(b, expert->expert); !zero(one)) add(module, slice(a, expert->expert), std::move(one));
      return;
    }
    const auto name = models::gguf_name(module + ".weight");
    if (module == "lm_head" && source_.config().tied_head) return;
    if (!name || (module.ends_with("kv_b_proj") && read_latent(module, *name)) || !both(*name, 0, a, b)) return;
    if (models::has_reordered_rows(config.family, module)) {
      if (b.size(0) % config.head_dim != 0) throw Error(ErrorCode::kInvalidInput, where_, fmt::format("{}: lora_b {} does not fit heads of {}", *name, b.shape().str(), config.head_dim), "the adapter was made for another model");
      b = models::reorder_rotary_rows(b, config.head_dim, models::RowOrder::kToHuggingFace);
    }
    add(module, std::move(a), std::move(b));
  }

  io::Gguf gguf_;
  std::string where_;
  const models::ModelSource& source_;
  io::LoraAdapter adapter_;
  std::set<std::string> used_;
};

}  // namespace

io::LoraAdapter read_gguf_lora(const std::filesystem::path& file, const models::ModelSource& source) { return Reader(file, source).read(); }

}  // namespace hone::recipes
