#include "nn/embedding.h"

#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/linear.h"

namespace hone::nn {

Variable Embedding::forward(const Tensor& ids, DType type) const {
  const Variable x = ops::embedding(table, ids, type);
  if (!has_lora()) return x;
  const Variable part = ops::scale(ops::embedding(lora_a, ids, type), lora_scale);
  return ops::linear_onto(x, part, {lora_b, {}, nullptr});
}

}  // namespace hone::nn
