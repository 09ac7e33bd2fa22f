#include "train/step.h"

#include <algorithm>
#include <cstring>

namespace hone::train {
namespace {

Tensor to_tensor(const std::vector<int32_t>& values) {
  return Tensor::from({static_cast<int64_t>(values.size())}, std::span<const int32_t>(values));
}

ops::Labels labels_of(const data::MicroBatch& batch) { return {to_tensor(batch.labels), batch.weights}; }

void add(LossSum& total, const ops::TokenLoss& loss, const data::MicroBatch& batch) {
  total.sum += loss.sum;
  total.weight += batch.loss_weight();
  total.tokens += loss.tokens;
  total.correct += loss.correct;
  total.seen += batch.tokens();
}

}  // namespace

int64_t pass_tokens(int64_t tokens, int64_t longest) {
  const int64_t sample = std::max<int64_t>(1, std::min(longest, tokens));
  return std::min(tokens, std::max(sample, kPassTokens / sample * sample));
}

nn::Sequence to_sequence(const data::MicroBatch& batch) {
  return {to_tensor(batch.ids), to_tensor(batch.positions), to_tensor(batch.segment_begin)};
}

LossSum accumulate_gradients(const models::CausalLm& model, const data::StepBatch& batch, const StepOptions& options) {
  LossSum total;
  if (batch.supervised == 0) return total;
  const auto scale = static_cast<float>(1 / batch.loss_weight());
  nn::Pass pass;
  pass.training = true;
  pass.seed = options.seed;
  pass.step = options.step;
  pass.dropout = model.dropout;
  for (const data::MicroBatch& micro : batch.micro_batches)
    for (const data::MicroBatch& part : data::cut(micro, kPassTokens)) {
      if (options.interrupted && options.interrupted()) return total;
      if (part.supervised > 0) {
        const ops::TokenLoss loss = model.loss(to_sequence(part), labels_of(part), scale, pass, options.checkpointing);
        ops::backward(loss.loss);
        add(total, loss, part);
      }
      pass.first_token += static_cast<uint64_t>(part.tokens());
    }
  return total;
}

LossSum evaluate(const models::CausalLm& model, data::ValidationPass& validation, const std::function<bool()>& interrupted) {
  const autograd::NoGrad no_grad;
  LossSum total;
  for (data::MicroBatch batch; validation.next(batch);) {
    if (interrupted && interrupted()) break;
    for (const data::MicroBatch& part : data::cut(std::move(batch), kPassTokens))
      if (part.supervised > 0) add(total, model.loss(to_sequence(part), labels_of(part), 1, nn::Pass{}), part);
  }
  return total;
}

void clear_gradients(models::CausalLm& model) {
  // Made before the first step, so that they lie below a step's tensors and not among them, where they would keep the space
  // between them from being used as one.
  for (const auto& leaf : model.parameters()) {
    if (leaf->grad.defined()) std::memset(leaf->grad.raw_mutable(), 0, leaf->grad.bytes());
    else leaf->grad = Tensor::zeros(leaf->value.shape(), DType::kF32);
  }
}

}  // namespace hone::train
