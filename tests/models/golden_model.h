// One case of tests/golden/models: a small random model, its adapter, and what transformers + PEFT computed for them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json_file.h"
#include "io/safetensors.h"
#include "models/adapter.h"
#include "optim/adamw.h"

namespace hone::models::testing {

enum class From { kDirectory, kGguf };

/// Largest difference of two F32 tensors over the largest expected magnitude (or `floor`, when that is larger).
inline double relative_error(const Tensor& expected, const Tensor& found, double floor = 0) {
  double largest = floor, difference = 0;
  if (expected.elements() != found.elements()) return INFINITY;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    const double e = expected.data<float>()[i], f = found.data<float>()[i];
    largest = std::max(largest, std::abs(e));
    difference = std::max(difference, std::isfinite(f) ? std::abs(e - f) : INFINITY);
  }
  return difference / largest;
}

inline double root_mean_square(const Tensor& a, const Tensor* minus = nullptr) {
  double sum = 0;
  for (int64_t i = 0; i < a.elements(); ++i) {
    const double d = double{a.data<float>()[i]} - (minus ? minus->data<float>()[i] : 0);
    sum += d * d;
  }
  return std::sqrt(sum / static_cast<double>(a.elements()));
}

inline double largest_of(const Tensor& t) {
  double largest = 0;
  for (int64_t i = 0; i < t.elements(); ++i) largest = std::max(largest, std::abs(double{t.data<float>()[i]}));
  return largest;
}

/// The samples [first, last) of a case, end to end.
struct Batch {
  nn::Sequence sequence;
  Tensor labels;
};

class Golden {
 public:
  explicit Golden(const std::string& name)
      : folder_(std::filesystem::path(HONE_GOLDEN_DIR) / "models" / name),
        tensors_(io::Safetensors::open(folder_ / "expected.safetensors")),
        numbers_(read_json(folder_ / "expected.json")) {}

  CausalLm load(const LoadOptions& options, From from = From::kDirectory) const {
    return CausalLm::load(*ModelSource::open(from == From::kGguf ? folder_ / "model.gguf" : folder_), options);
  }
  void attach(CausalLm& model) const {
    const io::LoraAdapter adapter = io::read_peft(folder_ / "adapter");
    EXPECT_EQ(attach_adapter(model, adapter, folder_.string(), /*trainable=*/true), static_cast<int64_t>(adapter.pairs.size()));
    size_t linears = 0;
    model.each_linear([&](nn::Linear&) { ++linears; });
    EXPECT_EQ(adapter.pairs.size(), linears) << "the adapter leaves layers untested";
  }

  Tensor tensor(const std::string& name) const { return tensors_.tensor(name); }
  bool has(const std::string& name) const { return tensors_.has(name); }
  double number(const char* name) const { return numbers_.at(name).get<double>(); }
  std::vector<double> list(const char* name) const { return numbers_.at(name).get<std::vector<double>>(); }
  int64_t samples() const { return tensor("starts").elements() - 1; }
  float scale() const {
    const Tensor labels = tensor("labels");
    const auto* label = labels.data<int32_t>();
    return 1.0f / static_cast<float>(std::count_if(label, label + labels.elements(), [](int32_t l) { return l >= 0; }));
  }
  Batch batch(int64_t first, int64_t last) const {
    const Tensor starts = tensor("starts");
    const auto* start = starts.data<int32_t>();
    std::vector<int32_t> positions, segments{0};
    for (int64_t s = first; s < last; ++s) {
      for (int32_t t = 0; t < start[s + 1] - start[s]; ++t) positions.push_back(t);
      segments.push_back(static_cast<int32_t>(positions.size()));
    }
    const auto tensor_of = [](const std::vector<int32_t>& v) {
      return Tensor::from({static_cast<int64_t>(v.size())}, std::span<const int32_t>(v));
    };
    return {{tensor("ids").rows(start[first], start[last]), tensor_of(positions), tensor_of(segments)},
            tensor("labels").rows(start[first], start[last])};
  }
  Batch all() const { return batch(0, samples()); }

 private:
  std::filesystem::path folder_;
  io::Safetensors tensors_;
  nlohmann::json numbers_;
};

inline Tensor logits(const CausalLm& model, const Batch& batch) {
  const autograd::NoGrad no_grad;
  return model.logits(model.hidden(batch.sequence, nn::Pass{})).value();
}

/// Adds the batch's gradient; returns scale · Σ −log p.
inline double loss_and_gradients(CausalLm& model, const Batch& batch, float scale, bool checkpointing = false) {
  const ops::TokenLoss loss = model.loss(batch.sequence, batch.labels, scale, nn::Pass{}, checkpointing);
  ops::backward(loss.loss);
  return loss.loss.value().data<float>()[0];
}

/// Gradients by parameter name ("….lora_A.weight"), rows in Hugging Face's order; zeros where nothing reached a matrix.
inline std::map<std::string, Tensor> gradients(CausalLm& model, From from = From::kDirectory) {
  std::map<std::string, Tensor> all;
  const ModelConfig& c = model.config();
  model.each_linear([&](nn::Linear& linear) {
    const auto of = [](const Variable& v) {
      const Tensor& g = v.leaf()->grad;
      return g.defined() ? g.clone() : Tensor::zeros(v.shape(), DType::kF32);
    };
    all[linear.name + ".lora_A.weight"] = of(linear.lora_a);
    const bool reordered = from == From::kGguf && has_reordered_rows(c.family, linear.name);
    const Tensor b = of(linear.lora_b);
    all[linear.name + ".lora_B.weight"] = reordered ? reorder_rotary_rows(b, c.head_dim, RowOrder::kToHuggingFace) : b;
  });
  return all;
}

/// The losses before each of the case's AdamW steps, and after the last.
inline std::vector<double> train(CausalLm& model, const Golden& golden, size_t steps) {
  std::vector<optim::Parameter> parameters;
  for (const auto& leaf : model.parameters())
    parameters.push_back({leaf->name, leaf->value, 1, static_cast<float>(golden.number("weight_decay"))});
  optim::AdamW adamw(parameters, {});
  std::vector<double> losses;
  const Batch batch = golden.all();
  for (size_t step = 0; step <= steps; ++step) {
    losses.push_back(loss_and_gradients(model, batch, golden.scale()));
    std::vector<Tensor> grads;
    for (const auto& leaf : model.parameters()) {
      grads.push_back(leaf->grad);
      leaf->grad = {};
    }
    if (step < steps) adamw.step(grads, static_cast<float>(golden.number("learning_rate")), 1);
  }
  return losses;
}

}  // namespace hone::models::testing
