// AdamW over a fixed list of parameters.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace hone::optim {

/// A tensor to be trained and how: its learning rate is lr · lr_scale.
struct Parameter {
  std::string name;
  Tensor value;  // F32, updated in place
  float lr_scale = 1;
  float weight_decay = 0;
};

struct AdamWOptions {
  float beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f;
};

/// √Σ g² over all gradients, in f64 and a fixed order. Undefined gradients count as zero.
double global_norm(std::span<const Tensor> gradients);

/// AdamW with decoupled weight decay (Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019):
/// p ← p − lr · (m̂ / (√v̂ + eps) + decay · p).
class AdamW {
 public:
  AdamW(std::vector<Parameter> parameters, AdamWOptions options);

  /// One update with gradients · grad_scale (the clip factor). gradients[i] belongs to parameters()[i]; an undefined one is
  /// taken as zero. `lr` is the schedule's learning rate of this step.
  void step(std::span<const Tensor> gradients, float lr, float grad_scale);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// Updates made so far.
  int64_t steps() const { return steps_; }
  /// Moments by parameter, for checkpoints: first[i] and second[i] have the parameter's shape.
  const std::vector<Tensor>& first_moments() const { return first_; }
  const std::vector<Tensor>& second_moments() const { return second_; }
  /// Continues from saved moments; shapes are checked (Error{kInvalidInput}).
  void restore(int64_t steps, std::span<const Tensor> first, std::span<const Tensor> second);

 private:
  std::vector<Parameter> parameters_;
  AdamWOptions options_;
  std::vector<Tensor> first_, second_;
  int64_t steps_ = 0;
};

}  // namespace hone::optim
