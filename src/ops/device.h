// Which kernels serve a tensor: the seam for further devices. Every op asks here and nowhere else.
#pragma once

#include "autograd/variable.h"
#include "base/profile.h"
#include "kernels/table.h"

namespace hone::ops {

using autograd::Variable;

/// The kernels of the tensor's device.
inline const kernels::KernelTable& kernels_for(const Tensor& t) {
  switch (t.device()) {
    case Device::kCpu: break;
  }
  return kernels::kernels();
}

inline ThreadPool& threads() { return ThreadPool::global(); }

/// While one lives, this thread's products are those of generation: row by row, whatever rows there are (Precision::kRows).
class RowByRow {
 public:
  RowByRow() { ++depth_; }
  ~RowByRow() { --depth_; }
  RowByRow(const RowByRow&) = delete;
  RowByRow& operator=(const RowByRow&) = delete;
  static bool active() { return depth_ > 0; }

 private:
  static thread_local int depth_;
};

/// Activations are F32 or BF16; F32 activations multiply in full precision.
inline kernels::Precision precision_of(DType activation) {
  if (RowByRow::active()) return kernels::Precision::kRows;
  return activation == DType::kBF16 ? kernels::Precision::kBF16 : kernels::Precision::kF32;
}

/// The products of activations with a weight: in bytes where the weight is int8 and the activations are BF16; row by row where it lies in panels,
/// which are made to answer and are faster so, prompts too.
inline kernels::Precision precision_of(DType activation, const Tensor& weight) {
  if (weight.in_panels()) return kernels::Precision::kRows;
  const kernels::Precision plain = precision_of(activation);
  return plain == kernels::Precision::kBF16 && weight.dtype() == DType::kI8 ? kernels::Precision::kInt8 : plain;
}

/// (rows, cols) of any tensor: the last axis, and everything before it.
inline kernels::Matrix matrix(const Tensor& t) {
  const int64_t cols = t.shape()[-1];
  return {t.raw(), t.dtype(), cols ? t.elements() / cols : 0, cols, 0, t.nf4_state(), t.row_scales(), t.in_panels()};
}

/// The values of any tensor, in a tensor of its own.
Tensor decoded(const Tensor& t, DType type = DType::kF32);

/// Rows [begin, begin + count) of a weight; `begin` is a multiple of 16, and NF4 has no such rows.
inline kernels::Matrix rows_of(kernels::Matrix m, int64_t begin, int64_t count) {
  m.data = m.panels ? m.panel_of(begin) : static_cast<const unsigned char*>(m.data) + begin * (m.row_stride ? m.row_stride : row_bytes(m.type, m.cols));
  m.rows = count;
  if (m.row_scale) m.row_scale += begin;
  return m;
}

/// Throws (a bug, not bad input) unless t is an activation of `cols` columns.
void check_activation(const char* op, const Tensor& t, int64_t cols);

/// into += from; registered with the autograd layer.
void accumulate(const Tensor& into, const Tensor& from);

/// Runs the backward pass from a scalar loss with gradient 1.
void backward(const Variable& loss);

}  // namespace hone::ops
