#include "serve/models/embedding.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "quant/codec.h"

namespace hone::serve {

std::vector<float> embed(const Resident& model, const std::vector<int32_t>& ids) {
  static std::mutex one_at_a_time;  // activations of several long texts need not fit into memory together
  const auto count = static_cast<int64_t>(ids.size());
  if (ids.empty()) throw Error(ErrorCode::kInvalidInput, "input", "it holds no token", "write something to embed");
  if (count > model.context()) throw Error(ErrorCode::kInvalidInput, "input", fmt::format("{} tokens exceed a context of {}", count, model.context()), "shorten it");
  const autograd::NoGrad no_grad;
  std::vector<int32_t> positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  const int32_t segments[2] = {0, static_cast<int32_t>(count)};
  const nn::Sequence sequence{Tensor::from({count}, std::span<const int32_t>(ids)), Tensor::from({count}, std::span<const int32_t>(positions)),
                              Tensor::from({2}, std::span<const int32_t>(segments))};
  const std::lock_guard lock(one_at_a_time);
  const autograd::Variable hidden = model.engine->model().hidden(sequence, nn::Pass{});
  const Tensor last = hidden.value().rows(count - 1, count);
  std::vector<float> vector(static_cast<size_t>(last.elements()));
  if (last.dtype() == DType::kF32) std::copy_n(last.data<float>(), vector.size(), vector.begin());
  else quant::decode_row(last.dtype(), last.raw(), last.elements(), vector.data());
  shorten(vector, vector.size());
  return vector;
}

void shorten(std::vector<float>& vector, size_t dimensions) {
  vector.resize(std::min(vector.size(), dimensions));
  double square = 0;
  for (const float x : vector) square += static_cast<double>(x) * x;
  const auto scale = static_cast<float>(square > 0 ? 1 / std::sqrt(square) : 0);
  for (float& x : vector) x *= scale;
}

}  // namespace hone::serve
