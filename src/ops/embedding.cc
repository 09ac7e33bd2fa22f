#include "ops/embedding.h"

namespace hone::ops {

Variable embedding(const Variable& table, const Tensor& ids, DType type) {
  const profile::Scope scope("embedding");
  HONE_CHECK(table.shape().rank() == 2 && ids.dtype() == DType::kI32, "embedding: table {}, ids {}", table.shape().str(),
             name(ids.dtype()));
  HONE_CHECK(!table.requires_grad() || table.leaf(), "embedding: a trained table must be a parameter");
  const int32_t* id = ids.data<int32_t>();
  for (int64_t t = 0; t < ids.elements(); ++t)
    if (id[t] < 0 || id[t] >= table.size(0))
      throw Error(ErrorCode::kInvalidInput, fmt::format("token {}", t),
                  fmt::format("id {} is outside the vocabulary of {}", id[t], table.size(0)),
                  "use the tokenizer that belongs to this model");
  Tensor y = Tensor::empty({ids.elements(), table.size(1)}, type);
  kernels_for(y).gather_rows(matrix(table.value()), id, ids.elements(), y.raw_mutable(), type, threads());
  return autograd::record("embedding", {table}, y, [ids](std::vector<Tensor>& dy, autograd::Gradients& out) {
    if (Tensor grad = out.leaf(0); grad.defined())
      kernels_for(grad).scatter_add_rows(grad.data_mutable<float>(), grad.size(1), ids.data<int32_t>(), ids.elements(),
                                         dy[0].raw(), dy[0].dtype(), threads());
  });
}

}  // namespace hone::ops
