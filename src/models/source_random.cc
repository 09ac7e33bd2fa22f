#include "models/source_random.h"

#include <algorithm>
#include <cstring>

#include "base/rng.h"
#include "base/thread_pool.h"
#include "models/weights.h"
#include "quant/codec.h"

namespace hone::models {
namespace {

constexpr float kDeviation = 0.02f;         // initializer_range of the families' configurations
constexpr int64_t kNoise = int64_t{1} << 18;  // values of noise: small enough for the second-level cache
constexpr int64_t kWindow = 1024;           // values copied from one place: rows are made of several windows, so no two agree
constexpr int64_t kWindowsPerTask = 256;

// The type in which a quantiser stores rows of `cols` values when `type` was asked for.
DType fitting(DType type, int64_t cols) {
  if (cols % traits(type).block_elements == 0) return type;
  switch (type) {
    case DType::kQ4_K: return fitting(DType::kQ5_0, cols);
    case DType::kQ5_K: return fitting(DType::kQ5_1, cols);
    case DType::kQ6_K: return fitting(DType::kQ8_0, cols);
    default: return DType::kBF16;
  }
}

uint32_t hash(std::string_view text) {  // FNV-1a
  uint32_t h = 2166136261u;
  for (const char c : text) h = (h ^ static_cast<uint8_t>(c)) * 16777619u;
  return h;
}

}  // namespace

RandomSource::RandomSource(ModelConfig config, DType type, uint64_t seed, const std::string& label) : seed_(seed) {
  path_ = label;
  config_ = std::move(config);
  const std::string head = config_.tied_head ? "model.embed_tokens.weight" : "lm_head.weight";
  each_weight(config_, [&](const Weight& weight) {
    if (weight.presence != Presence::kRequired) return;
    const bool plain = weight.shape.rank() == 1 || (traits(type).quantized && weight.name.ends_with("mlp.gate.weight"));
    DType wanted = plain ? DType::kF32 : type;
    if (traits(type).quantized && weight.name == head) wanted = DType::kQ6_K;
    weights_.emplace(weight.name, Spec{weight.shape, fitting(wanted, weight.shape[-1])});
  });
}

const std::vector<std::byte>& RandomSource::noise(DType type) const {
  const std::lock_guard guard(lock_);
  std::vector<std::byte>& bytes = noise_[type];
  if (!bytes.empty()) return bytes;
  bytes.resize(static_cast<size_t>(row_bytes(type, kNoise)));
  const Rng rng{seed_, Rng::kInit, 0};
  ThreadPool::global().ranges(kNoise / kWindow, 8, [&](int64_t begin, int64_t end) {
    std::vector<float> values(kWindow);
    for (int64_t w = begin; w < end; ++w) {
      for (int64_t i = 0; i < kWindow; ++i)
        values[static_cast<size_t>(i)] = kDeviation * rng.normal(static_cast<uint64_t>(w * kWindow + i));
      quant::encode_row(type, values.data(), kWindow, bytes.data() + row_bytes(type, w * kWindow));
    }
  });
  return bytes;
}

Tensor RandomSource::tensor(std::string_view name) const {
  const auto it = weights_.find(name);
  if (it == weights_.end())
    throw Error(ErrorCode::kInvalidInput, path_.string(), fmt::format("weight \"{}\" has no place in this architecture", name));
  const auto& [shape, type] = it->second;
  Tensor t = Tensor::empty(shape, type);
  if (shape.rank() == 1 && name.ends_with(".weight")) {
    std::fill_n(t.data_mutable<float>(), t.elements(), 1.0f);
    return t;
  }
  const std::vector<std::byte>& pool = noise(type);
  const int64_t block = traits(type).block_elements, bytes = traits(type).block_bytes, window = kWindow / block;
  const int64_t blocks = t.elements() / block, windows = (blocks + window - 1) / window;
  const Rng rng{seed_, hash(name), 1};
  auto* out = static_cast<std::byte*>(t.raw_mutable());
  ThreadPool::global().ranges(windows, kWindowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t w = begin; w < end; ++w) {
      const auto from = static_cast<int64_t>(rng.below(static_cast<uint64_t>(w), static_cast<uint64_t>(kNoise / block - window + 1)));
      const int64_t count = std::min(window, blocks - w * window);
      std::memcpy(out + w * window * bytes, pool.data() + from * bytes, static_cast<size_t>(count * bytes));
    }
  });
  return t;
}

uint64_t RandomSource::bytes() const {
  uint64_t total = 0;
  for (const auto& [name, spec] : weights_) total += static_cast<uint64_t>(row_bytes(spec.type, spec.shape.elements()));
  return total;
}

int64_t RandomSource::values() const {
  int64_t total = 0;
  for (const auto& [name, spec] : weights_) total += spec.shape.elements();
  return total;
}

}  // namespace hone::models
