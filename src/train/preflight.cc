#include "train/preflight.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/thread_pool.h"
#include "train/step.h"

namespace hone::train {
namespace {

constexpr uint64_t kPerThread = uint64_t{2} << 20;  // packed stripes and attention tiles
constexpr uint64_t kProgramGrowth = uint64_t{2} << 20;  // the history's cache, the first step's tables

uint64_t field_of(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name)) {
      std::istringstream words(line.substr(name.size()));
      uint64_t kib = 0;
      words >> kib;
      return kib * 1024;
    }
  return 0;
}

uint64_t number_in(const char* path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : 0;
}

// What one pass keeps for its backward pass. Normed and activated inputs are not kept: they are made again (autograd::Recipe).
class Kept {
 public:
  Kept(int64_t tokens, int64_t activation_bytes) : tokens_(tokens), size_(activation_bytes) {}
  uint64_t bytes() const { return bytes_; }
  void activation(int64_t width) { add(width * size_); }
  void f32(int64_t width) { add(width * 4); }

 private:
  void add(int64_t bytes_per_token) {
    if (bytes_per_token > 0) bytes_ += Storage::block_bytes(static_cast<size_t>(tokens_ * bytes_per_token));
  }
  int64_t tokens_, size_;
  uint64_t bytes_ = 0;
};

// The widest product inside a block, and the sum of what its feed-forward half keeps.
int64_t feed_width(const models::ModelConfig& c, bool experts) {
  return experts ? c.moe->top_k * c.moe->intermediate_size + c.moe->n_shared_experts * c.moe->intermediate_size : c.intermediate_size;
}

// One block, in the order of its forward pass; the LoRA products x·Aᵀ are counted by the caller. Which op keeps what is said
// in the first comment of its header.
void keep_block(Kept& kept, const models::ModelConfig& c, bool experts) {
  const int64_t width = c.hidden_size;
  int64_t q = c.heads * c.head_dim, k = c.kv_heads * c.head_dim, v = k, out = q;
  kept.activation(width);  // the block's input
  kept.f32(1);             // 1/rms
  if (c.mla) {
    q = k = c.heads * (c.mla->qk_nope_head_dim + c.mla->qk_rope_head_dim);
    v = out = c.heads * c.mla->v_head_dim;
    for (const int64_t latent : {c.mla->q_lora_rank, c.mla->kv_lora_rank}) kept.activation(latent);  // before its norm
  }
  if (c.qk_norm) {
    kept.activation(q);
    kept.activation(k);
    kept.f32(c.heads);
    kept.f32(c.kv_heads);
  }
  for (const int64_t part : {q, k, v}) kept.activation(part);
  kept.activation(out);
  kept.f32(c.heads);       // log-sum-exp
  kept.activation(width);  // the middle residual
  kept.f32(1);
  if (!experts) {
    for (int part = 0; part < 2; ++part) kept.activation(c.intermediate_size);  // gate, up
    return;
  }
  const models::MoeConfig& moe = *c.moe;
  kept.f32(width);  // the router's input and what it chose
  for (int part = 0; part < 2; ++part) kept.f32(moe.n_routed_experts);
  kept.f32(3 * moe.top_k);
  for (int part = 0; part < 2; ++part) kept.activation(moe.top_k * width);  // the experts' rows, in and out
  for (int part = 0; part < 2; ++part) kept.activation(moe.top_k * moe.intermediate_size);
  for (int part = 0; part < 2; ++part) kept.activation(moe.n_shared_experts * moe.intermediate_size);
}

uint64_t kept_by_block(models::CausalLm& model, int64_t tokens, int64_t size, bool experts) {
  Kept kept(tokens, size);
  keep_block(kept, model.config(), experts);
  return kept.bytes();
}

// x·Aᵀ of every adapted layer. A routed expert sees its share of the rows.
uint64_t kept_by_lora(models::CausalLm& model, int64_t tokens, int64_t size) {
  const models::ModelConfig& c = model.config();
  uint64_t bytes = 0;
  model.each_linear([&](nn::Linear& linear) {
    if (!linear.has_lora()) return;
    int64_t rows = tokens;
    if (c.moe && linear.name.find(".experts.") != std::string::npos) rows = tokens * c.moe->top_k / c.moe->n_routed_experts + 1;
    bytes += Storage::block_bytes(static_cast<size_t>(rows * linear.lora_a.size(0) * size));
    if (linear.magnitude.defined()) bytes += Storage::block_bytes(static_cast<size_t>(rows * linear.weight.size(0) * size));  // before its lengths
  });
  if (model.head().has_lora()) bytes += Storage::block_bytes(static_cast<size_t>(tokens * model.head().lora_a.size(0) * size));
  if (model.embedding().has_lora()) bytes += Storage::block_bytes(static_cast<size_t>(tokens * model.embedding().lora_a.size(1) * size));
  return bytes;
}

}  // namespace

MemoryPlan plan_memory(models::CausalLm& model, const MemoryQuestion& question) {
  const models::ModelConfig& c = model.config();
  const int64_t tokens = pass_tokens(question.tokens, question.longest), size = model.activation() == DType::kBF16 ? 2 : 4;
  MemoryPlan plan;
  plan.mapped = model.mapped_weight_bytes();
  plan.weights = model.owned_weight_bytes();
  for (const auto& leaf : model.parameters()) {
    plan.parameters += (models::is_adapter_leaf(leaf->name) ? 2 : 1) * leaf->value.bytes();  // values that are weights are counted above
    plan.optimizer += 2 * leaf->value.bytes();
  }
  const auto beside = [&](const nn::Linear& linear) {  // weights without what an adapter took over, and lengths of rows
    if (linear.start_a.defined()) plan.weights += linear.weight.value().bytes() + linear.start_a.bytes() + linear.start_b.bytes();
    if (linear.row_squares.defined()) plan.weights += linear.row_squares.bytes();
  };
  model.each_linear(beside);
  beside(model.head());

  uint64_t blocks = 0, largest = 0;
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    const uint64_t one = kept_by_block(model, tokens, size, c.is_moe_layer(layer));
    blocks += one;
    largest = std::max(largest, one);
  }
  const uint64_t lora = kept_by_lora(model, tokens, size);
  Kept inputs(tokens, size);
  for (int64_t layer = 0; layer < c.layers; ++layer) inputs.activation(c.hidden_size);
  const uint64_t recomputed = largest + lora / static_cast<uint64_t>(std::max<int64_t>(1, c.layers));
  plan.activations = question.checkpointing ? inputs.bytes() : blocks + lora;

  // Temporary, whichever is more. While the loss is computed: the final norm's input and output, the labelled rows, their
  // gradients (also in F32, with the labels' rows of the head), a stripe of logits. In a block's backward pass: gradients of its feed-forward half and of the residual stream,
  // with checkpointing beside the block's tensors, computed again.
  const int64_t feed = feed_width(c, c.moe.has_value()), labelled = std::clamp<int64_t>(question.supervised, 1, tokens);
  Kept head(tokens, size), gradients(tokens, size);
  for (int part = 0; part < 2; ++part) head.activation(c.hidden_size), gradients.activation(c.hidden_size);
  for (int part = 0; part < 3; ++part) gradients.activation(feed);
  const uint64_t loss = head.bytes() + Storage::block_bytes(static_cast<size_t>(model.logit_bytes(labelled))) +
                        2 * (Storage::block_bytes(static_cast<size_t>(labelled * c.hidden_size * size)) + Storage::block_bytes(static_cast<size_t>(labelled * c.hidden_size * 4)));
  // A head that is trained, itself or by an adapter, sums its gradient apart before it is added.
  uint64_t head_gradient = model.head().weight.leaf() ? static_cast<uint64_t>(c.vocab_size * c.hidden_size * 4) : 0;
  if (model.head().has_lora()) head_gradient += static_cast<uint64_t>(c.vocab_size * model.head().lora_a.size(0) * 4);
  const uint64_t backward = gradients.bytes() + (question.checkpointing ? recomputed : 0);
  // Kernels keep a packed copy of the largest left side of a product they saw and of one layer's keys, a quarter rounded up, and
  // stripes per thread. Query heads that share keys sum their gradients apart, in F32.
  const int64_t widest = std::max({feed, c.heads * c.head_dim, c.hidden_size});
  const auto packed = static_cast<uint64_t>(std::max(tokens * widest * size, model.logit_bytes(labelled) * size / 4) * 5 / 4);
  const int64_t key = c.mla ? c.mla->qk_nope_head_dim + c.mla->qk_rope_head_dim : c.head_dim, value = c.mla ? c.mla->v_head_dim : c.head_dim;
  const int64_t sums = c.heads > c.kv_heads ? c.heads * (key + value) * 4 : 0, packed_keys = c.kv_heads * (2 * key + value) * size;
  const auto attention = static_cast<uint64_t>(tokens * (packed_keys + sums) * 5 / 4);
  plan.working = std::max(loss + head_gradient, backward) + packed + attention + kPerThread * static_cast<uint64_t>(ThreadPool::global().size());
  plan.program = question.program_bytes + kProgramGrowth;
  return plan;
}

uint64_t available_memory() {
  uint64_t available = field_of("/proc/meminfo", "MemAvailable:");
  const uint64_t limit = number_in("/sys/fs/cgroup/memory.max"), used = number_in("/sys/fs/cgroup/memory.current");
  if (limit > 0 && limit > used) available = std::min(available, limit - used);
  return available;
}

uint64_t resident_memory() { return field_of("/proc/self/status", "VmRSS:"); }
uint64_t peak_resident_memory() { return field_of("/proc/self/status", "VmHWM:"); }

}  // namespace hone::train
