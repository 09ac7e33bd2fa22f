// A model's weights with the trained change added: W + scale · B·A.
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
  /// The weight as F32, rows in Hugging Face's order, with the change added.
  Tensor f32(const std::string& weight) const;

 private:
  Tensor stored_order(const std::string& weight) const;

  const models::ModelSource& source_;
  std::map<std::string, const nn::Linear*> adapted_;  // by weight name
  std::map<std::string, Tensor> trained_;             // of full fine-tuning
};

}  // namespace hone::recipes
