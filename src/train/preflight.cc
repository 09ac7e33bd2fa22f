#include "train/preflight.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace hone::train {
namespace {

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

}  // namespace

MemoryPlan plan_memory(models::CausalLm& model, const MemoryQuestion& question) {
  const models::ModelConfig& c = model.config();
  MemoryPlan plan;
  plan.mapped = question.mapped_bytes;
  plan.weights = model.owned_weight_bytes();
  for (const auto& leaf : model.parameters()) {
    plan.parameters += 2 * leaf->value.bytes();
    plan.optimizer += 2 * leaf->value.bytes();
  }
  const auto size = static_cast<uint64_t>(model.activation() == DType::kBF16 ? 2 : 4);
  const auto tokens = static_cast<uint64_t>(question.tokens);
  // Kept per token and block (elements): the block's input and its normed copy, q k v and their rotated copies, the heads'
  // output, the middle residual and its normed copy, gate, up and their product. LoRA keeps x·Aᵀ, R values per layer in F32.
  const int64_t head = c.head_dim, values = c.mla ? c.mla->v_head_dim : head;
  const int64_t q = c.heads * head, k = c.kv_heads * head, v = c.kv_heads * values;
  int64_t feed = c.intermediate_size;
  if (c.moe) feed = std::max(feed, (c.moe->top_k + c.moe->n_shared_experts) * c.moe->intermediate_size);
  const auto block = static_cast<uint64_t>(5 * c.hidden_size + 2 * q + 2 * k + v + c.heads * values + 3 * feed) * size +
                     static_cast<uint64_t>(c.heads) * 4;
  uint64_t lora = 0;
  model.each_linear([&](nn::Linear& linear) {
    if (linear.has_lora()) lora += static_cast<uint64_t>(linear.lora_a.size(0)) * 4;
  });
  const uint64_t kept_inputs = static_cast<uint64_t>(c.layers * c.hidden_size) * size;
  plan.activations = tokens * (question.checkpointing ? kept_inputs + block : static_cast<uint64_t>(c.layers) * block + lora);
  constexpr uint64_t kHeadRows = 128;  // rows of logits that exist at once
  const uint64_t logits = std::min(kHeadRows, static_cast<uint64_t>(question.supervised)) * static_cast<uint64_t>(c.vocab_size) * 4;
  plan.working = std::max(logits, tokens * block) + tokens * static_cast<uint64_t>(c.hidden_size) * 8;
  plan.program = uint64_t{60} << 20;
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
