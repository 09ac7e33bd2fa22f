#include "optim/adamw.h"

#include <cmath>
#include <cstring>

#include "base/thread_pool.h"
#include "kernels/table.h"

namespace hone::optim {

double global_norm(std::span<const Tensor> gradients) {
  double sum = 0;
  for (const Tensor& g : gradients)
    if (g.defined()) sum += kernels::kernels().sum_squares(g.elements(), g.data<float>(), ThreadPool::global());
  return std::sqrt(sum);
}

AdamW::AdamW(std::vector<Parameter> parameters, AdamWOptions options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const Parameter& p : parameters_) {
    first_.push_back(Tensor::zeros(p.value.shape(), DType::kF32));
    second_.push_back(Tensor::zeros(p.value.shape(), DType::kF32));
  }
}

void AdamW::step(std::span<const Tensor> gradients, float lr, float grad_scale) {
  HONE_CHECK(gradients.size() == parameters_.size(), "{} gradients for {} parameters", gradients.size(), parameters_.size());
  ++steps_;
  const auto t = static_cast<double>(steps_);
  const auto correction1 = static_cast<float>(1 - std::pow(static_cast<double>(options_.beta1), t));
  const auto correction2 = static_cast<float>(1 - std::pow(static_cast<double>(options_.beta2), t));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    Tensor gradient = gradients[i];
    if (!gradient.defined()) gradient = Tensor::zeros(p.value.shape(), DType::kF32);
    kernels::kernels().adamw(p.value.elements(), p.value.data_mutable<float>(), gradient.data<float>(),
                             first_[i].data_mutable<float>(), second_[i].data_mutable<float>(), lr * p.lr_scale,
                             options_.beta1, options_.beta2, options_.eps, p.weight_decay, grad_scale, correction1,
                             correction2, ThreadPool::global());
  }
}

void AdamW::restore(int64_t steps, std::span<const Tensor> first, std::span<const Tensor> second) {
  const auto fits = [&](std::span<const Tensor> moments) {
    if (moments.size() != parameters_.size()) return false;
    for (size_t i = 0; i < moments.size(); ++i)
      if (moments[i].shape() != parameters_[i].value.shape() || moments[i].dtype() != DType::kF32) return false;
    return true;
  };
  if (steps < 0 || !fits(first) || !fits(second))
    throw Error(ErrorCode::kInvalidInput, "optimizer state", "it does not fit the parameters that are trained",
                "resume with the configuration the run was started with");
  steps_ = steps;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    std::memcpy(first_[i].raw_mutable(), first[i].raw(), first_[i].bytes());
    std::memcpy(second_[i].raw_mutable(), second[i].raw(), second_[i].bytes());
  }
}

}  // namespace hone::optim
