#include "ops/rope.h"

#include <algorithm>

namespace hone::ops {
namespace {

Tensor rotated(const Tensor& x, int64_t heads, const RopeTable& table, const Tensor& positions, float sign) {
  const int64_t width = x.shape()[-1], rot = table.cos.size(1) * 2;
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  kernels_for(x).rope(x.elements() / width, heads, width / heads, rot, x.raw(), width, y.raw_mutable(), width, x.dtype(),
                      positions.data<int32_t>(), table.cos.data<float>(), table.sin.data<float>(), table.interleaved, sign,
                      threads());
  return y;
}

}  // namespace

Variable rope(const Variable& x, int64_t heads, const RopeTable& table, const Tensor& positions) {
  const profile::Scope scope("rope");
  const int64_t width = x.shape()[-1];
  HONE_CHECK(width % heads == 0 && table.cos.size(1) * 2 <= width / heads && positions.elements() == x.size(0),
             "rope: x {}, {} heads, {} angles, {} positions", x.shape().str(), heads, table.cos.size(1), positions.elements());
  const int32_t* position = positions.data<int32_t>();
  const auto [low, high] = std::minmax_element(position, position + positions.elements());
  if (positions.elements() && (*low < 0 || *high >= table.cos.size(0)))
    throw Error(ErrorCode::kInvalidInput, "position", fmt::format("{} is outside [0, {})", *low < 0 ? *low : *high, table.cos.size(0)),
                "shorten the text, or raise the context length");
  return autograd::record("rope", {x}, rotated(x.value(), heads, table, positions, 1),
                          [heads, table, positions](std::vector<Tensor>& dy, autograd::Gradients& out) {
                            out.add(0, rotated(dy[0], heads, table, positions, -1));
                          });
}

}  // namespace hone::ops
