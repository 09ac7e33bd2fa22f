// A model's weights with the trained change added: W + scale · B·A, with magnitudes (DoRA) m / ‖W + scale · B·A‖ · (W + scale · B·A).
#pragma once

#include <map>
#include <string>

#include "models/causal_lm.h"

namespace hone::recipes {

/// Looks into a tuned model (adapter attached, or all weights trained) by canonical weight name. The model must outlive it.
class MergedWeights {
 public:
  MergedWeights(models::CausalLm& model, const models::ModelSource& source);

  /// Whether training changed this weight.
  bool changed(const std::string& weight) const;
  /// Whether head and embedding, which the base ties, are two now: "lm_head.weight" is then a weight of its own.
  bool unties() const;
  /// The weight as F32, rows in Hugging Face's order, with the change added.
  Tensor f32(const std::string& weight) const;

 private:
  Tensor stored_order(const std::string& weight) const;
  Tensor base(const std::string& weight) const;

  const models::ModelSource& source_;
  std::map<std::string, const nn::Linear*> adapted_;  // by weight name
  const nn::Embedding* embedding_ = nullptr;          // when it is adapted
  std::map<std::string, Tensor> trained_;             // whole weights, trained or loaded in place of the base's
};

}  // namespace hone::recipes
