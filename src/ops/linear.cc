#include "ops/linear.h"

namespace hone::ops {
namespace {

using kernels::Gemm;
using kernels::Matrix;

// C = Σ products (+ C when accumulating), on plain tensors.
struct Call {
  Gemm gemm;
  Call(const Tensor& c, int64_t m, int64_t n, kernels::Precision precision) {
    gemm.m = m;
    gemm.n = n;
    gemm.c = c.raw_mutable();
    gemm.c_type = c.dtype();
    gemm.ldc = n;
    gemm.count = 0;
    gemm.precision = precision;
  }
  Call& product(const Matrix& a, bool a_transposed, const Matrix& b, bool b_transposed, float alpha = 1) {
    gemm.products[gemm.count++] = {a, a_transposed, b, b_transposed, alpha};
    return *this;
  }
  Call& accumulate() {
    gemm.accumulate = true;
    return *this;
  }
};

void run(const std::vector<Gemm>& calls) {
  if (!calls.empty() && calls[0].m > 0) kernels::kernels().gemm(calls.data(), static_cast<int>(calls.size()), threads());
}
void run(const Call& call) {
  if (call.gemm.m > 0 && call.gemm.n > 0) kernels::kernels().gemm(&call.gemm, 1, threads());
}

// The low-rank half of one linear layer on tensors: what forward computes and what backward adds.
struct LoraPass {
  Lora lora;
  int64_t rank() const { return lora.a.size(0); }

  Tensor dropped(const Tensor& x) const {
    if (lora.dropout == 0) return x;
    Tensor y = Tensor::empty(x.shape(), x.dtype());
    kernels_for(x).dropout(x.elements(), x.raw(), y.raw_mutable(), x.dtype(), lora.dropout, lora.rng, lora.first, threads());
    return y;
  }

  // u (T, R) = dropped·Aᵀ, to be run.
  Call down(const Tensor& dropped, const Tensor& u) const {
    return Call(u, u.size(0), rank(), precision_of(dropped.dtype())).product(matrix(dropped), false, matrix(lora.a.value()), true);
  }

  // du (T, R) = s · dy·B;  dB += s · dyᵀ·u;  dA += duᵀ·drop(x). Returns du.
  Tensor backward(const Tensor& x, const Tensor& u, const Tensor& dy, Tensor da, Tensor db) const {
    const auto precision = precision_of(x.dtype());
    Tensor du = Tensor::empty({u.size(0), rank()}, dy.dtype());
    run(Call(du, du.size(0), rank(), precision).product(matrix(dy), false, matrix(lora.b.value()), false, lora.scale));
    if (db.defined())
      run(Call(db, db.size(0), rank(), precision).product(matrix(dy), true, matrix(u), false, lora.scale).accumulate());
    if (da.defined()) {
      const Tensor input = dropped(x);
      run(Call(da, rank(), da.size(1), precision).product(matrix(du), true, matrix(input), false).accumulate());
    }
    return du;
  }

  // dx += drop'(du·A), for the case where dropout keeps it from sharing the pass of dy·W.
  void add_dropped_input_gradient(const Tensor& du, const Tensor& dx) const {
    Tensor through = Tensor::empty(dx.shape(), dx.dtype());
    run(Call(through, du.size(0), lora.a.size(1), precision_of(dx.dtype()))
            .product(matrix(du), false, matrix(lora.a.value()), false));
    kernels_for(dx).dropout(dx.elements(), through.raw(), through.raw_mutable(), dx.dtype(), lora.dropout, lora.rng,
                            lora.first, threads());
    accumulate(dx, through);
  }
};

void check_weight(const Tensor& x, const Variable& weight, const Lora* lora) {
  HONE_CHECK(weight.shape().rank() == 2, "linear: weight {}", weight.shape().str());
  check_activation("linear", x, weight.size(1));
  HONE_CHECK(!weight.leaf() || weight.value().dtype() == DType::kF32, "linear: a trainable weight must be F32");
  if (!lora) return;
  HONE_CHECK(lora->a.shape().rank() == 2 && lora->b.shape().rank() == 2 && lora->a.size(1) == weight.size(1) &&
                 lora->b.size(0) == weight.size(0) && lora->a.size(0) == lora->b.size(1),
             "linear: LoRA A {} and B {} for a weight {}", lora->a.shape().str(), lora->b.shape().str(),
             weight.shape().str());
}

// u (T, R) = drop(x)·Aᵀ of each of up to kMaxTogether LoRAs; undefined where there is none.
std::vector<Tensor> low_rank_inputs(const Tensor& x, std::span<const Lora* const> loras) {
  std::vector<Tensor> us(loras.size()), dropped;
  std::vector<Gemm> calls;
  for (size_t i = 0; i < loras.size(); ++i) {
    if (!loras[i]) continue;
    const LoraPass pass{*loras[i]};
    us[i] = Tensor::empty({matrix(x).rows, pass.rank()}, x.dtype());
    calls.push_back(pass.down(dropped.emplace_back(pass.dropped(x)), us[i]).gemm);
  }
  run(calls);
  return us;
}

// y (T, N) = x·Wᵀ + bias + s·u·Bᵀ of one layer, to be run; u of low_rank_inputs.
Call forward_call(const Tensor& out, const Tensor& x, const Tensor& weight, const Tensor& bias, const Lora* lora, const Tensor& u) {
  Call call(out, matrix(x).rows, weight.size(0), precision_of(x.dtype(), weight));
  call.product(matrix(x), false, matrix(weight), true);
  if (lora) call.product(matrix(u), false, matrix(lora->b.value()), true, lora->scale);
  if (bias.defined()) call.gemm.bias = bias.data<float>();
  return call;
}

// Adds dy·W + du·A of one layer to a sum over layers.
void add_input_gradient(Call& call, const Tensor& dy, const Tensor& weight, const Lora* lora, const Tensor& du) {
  const auto precision = precision_of(dy.dtype(), weight);
  if (precision == kernels::Precision::kInt8) call.gemm.precision = precision;
  call.product(matrix(dy), false, matrix(weight), false);
  if (lora && lora->dropout == 0) call.product(matrix(du), false, matrix(lora->a.value()), false);
}

void weight_gradient(const Tensor& dw, const Tensor& dy, const Tensor& x) {
  run(Call(dw, dw.size(0), dw.size(1), precision_of(x.dtype())).product(matrix(dy), true, matrix(x), false).accumulate());
}

// dbias (N) += Σ_t dy
void bias_gradient(const Tensor& dbias, const Tensor& dy) {
  const Tensor ones = Tensor::empty({1, matrix(dy).rows}, DType::kF32);
  std::fill_n(ones.data_mutable<float>(), ones.elements(), 1.0f);
  run(Call(dbias, 1, dbias.elements(), kernels::Precision::kF32).product(matrix(ones), false, matrix(dy), false).accumulate());
}

// Gradients arrive in the output's type; the products want them in the activations' type.
Tensor as_type(const Tensor& t, DType type) {
  if (t.dtype() == type) return t;
  Tensor converted = Tensor::empty(t.shape(), type);
  kernels_for(t).axpby(t.elements(), 1, t.raw(), t.dtype(), 0, converted.raw_mutable(), type, threads());
  return converted;
}

}  // namespace

namespace {

// The updates of some rows, in two halves: u = x·Aᵀ of every layer, then outputs += scale · u·Bᵀ.
struct RowUpdates {
  std::vector<Tensor> us;
  std::vector<Gemm> downs, ups;

  RowUpdates(const Tensor& x, const RowLoras& rows, const std::vector<Tensor>& outputs) {
    const Tensor own = x.rows(rows.begin, rows.end);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Lora* lora = rows.layers[i];
      if (!lora || !lora->a.defined()) continue;
      const Tensor &a = lora->a.value(), &b = lora->b.value(), out = outputs[i].rows(rows.begin, rows.end);
      HONE_CHECK(matrix(out).cols == b.size(0) && matrix(own).cols == a.size(1) && b.size(1) == a.size(0) && lora->dropout == 0, "linear: x {}, A {}, B {} of some rows",
                 own.shape().str(), a.shape().str(), b.shape().str());
      const Tensor& u = us.emplace_back(Tensor::empty({own.size(0), a.size(0)}, x.dtype()));
      downs.push_back(LoraPass{*lora}.down(own, u).gemm);
      ups.push_back(Call(out, out.size(0), b.size(0), precision_of(x.dtype())).product(matrix(u), false, matrix(b), true, lora->scale).accumulate().gemm);
    }
  }
};

// The layers' own products, and the updates of rows: those of all rows, read from the same x, go along with them.
void run(std::vector<Gemm> calls, const Tensor& x, std::span<const RowLoras> rows, const std::vector<Tensor>& outputs) {
  std::vector<RowUpdates> updates;
  for (const RowLoras& some : rows) updates.emplace_back(x, some, outputs);
  const bool all = rows.size() == 1 && rows[0].end - rows[0].begin == x.size(0);
  if (all) calls.insert(calls.end(), updates[0].downs.begin(), updates[0].downs.end());
  run(calls);
  for (const RowUpdates& update : updates) {
    if (!all) run(update.downs);
    run(update.ups);
  }
}

// What the backward pass keeps of one layer.
struct KeptLayer {
  Tensor weight, u;
  Lora lora;
  bool has_lora = false;
};

// What an op records: its inputs, outputs and backward pass.
struct Projection {
  std::vector<Variable> inputs;
  std::vector<Tensor> outputs;
  autograd::Backward backward;
};

// The general form: y_i = x·W_iᵀ + bias_i + LoRA_i, plus `addend` when there is one layer and it is defined.
Projection project(const Variable& x, const std::vector<LinearLayer>& layers, const Variable& addend, DType out_type, std::span<const RowLoras> rows = {}) {
  HONE_CHECK(!layers.empty() && layers.size() <= kMaxTogether, "linear: {} layers together", layers.size());
  std::vector<Tensor> outputs;
  std::vector<KeptLayer> kept;
  std::vector<Gemm> calls;
  std::vector<Variable> inputs{x, addend};  // then weight, bias, A, B of each layer
  std::vector<const Lora*> loras;
  for (const LinearLayer& layer : layers) {
    check_weight(x.value(), layer.weight, layer.lora);
    loras.push_back(layer.lora);
  }
  const std::vector<Tensor> us = low_rank_inputs(x.value(), loras);
  for (size_t i = 0; i < layers.size(); ++i) {
    const LinearLayer& layer = layers[i];
    HONE_CHECK(!layer.bias.defined() || layer.bias.value().elements() == layer.weight.size(0), "linear: bias {}", layer.bias.shape().str());
    outputs.push_back(Tensor::empty({matrix(x.value()).rows, layer.weight.size(0)}, out_type));
    KeptLayer k{layer.weight.value(), us[i], layer.lora ? *layer.lora : Lora{}, layer.lora != nullptr};
    calls.push_back(forward_call(outputs.back(), x.value(), k.weight, layer.bias.value(), layer.lora, us[i]).gemm);
    kept.push_back(std::move(k));
    inputs.insert(inputs.end(), {layer.weight, layer.bias, kept.back().lora.a, kept.back().lora.b});
  }
  if (addend.defined()) {
    HONE_CHECK(layers.size() == 1 && addend.value().dtype() == out_type && addend.value().elements() == outputs[0].elements(), "linear: addend {} for {}",
               addend.shape().str(), outputs[0].shape().str());
    calls[0].addend = addend.value().raw();
  }
  HONE_CHECK(rows.empty() || !autograd::needs_grad(inputs), "linear: updates of rows have no backward pass");
  run(std::move(calls), x.value(), rows, outputs);

  if (!autograd::needs_grad(inputs)) return {std::move(inputs), std::move(outputs), nullptr};
  return {std::move(inputs), std::move(outputs), [saved = autograd::Saved(x), kept = std::move(kept)](std::vector<Tensor>& grads, autograd::Gradients& out) {
    const Tensor input = saved.get();
    const DType type = input.dtype();
    if (out.needed(1)) out.add(1, grads[0]);
    std::vector<Tensor> dys(kept.size()), dus(kept.size());
    for (size_t i = 0; i < kept.size(); ++i) {
      if (!grads[i].defined()) continue;  // nothing used this output
      const int at = static_cast<int>(2 + 4 * i);
      dys[i] = as_type(grads[i], type);
      if (kept[i].has_lora) dus[i] = LoraPass{kept[i].lora}.backward(input, kept[i].u, dys[i], out.leaf(at + 2), out.leaf(at + 3));
      if (Tensor dw = out.leaf(at); dw.defined()) weight_gradient(dw, dys[i], input);
      if (Tensor dbias = out.leaf(at + 1); dbias.defined()) bias_gradient(dbias, dys[i]);
    }
    if (!out.needed(0)) return;
    Tensor dx = out.waiting(0);
    const bool add = dx.defined() && dx.dtype() == type;
    if (!add) dx = Tensor::empty(input.shape(), type);
    Call sum(dx, matrix(input).rows, input.shape()[-1], precision_of(type));
    if (add) sum.accumulate();
    for (size_t i = 0; i < kept.size(); ++i)
      if (dys[i].defined()) add_input_gradient(sum, dys[i], kept[i].weight, kept[i].has_lora ? &kept[i].lora : nullptr, dus[i]);
    run(sum);
    for (size_t i = 0; i < kept.size(); ++i)
      if (dus[i].defined() && kept[i].lora.dropout != 0) LoraPass{kept[i].lora}.add_dropped_input_gradient(dus[i], dx);
    if (!add) out.add(0, dx);
  }};
}

}  // namespace

Variable linear(const Variable& x, const Variable& weight, const Variable& bias, const Lora* lora) {
  return linear(x, weight, bias, lora, x.value().dtype());
}

Variable linear(const Variable& x, const Variable& weight, const Variable& bias, const Lora* lora, DType out_type) {
  const profile::Scope scope("linear");
  Projection p = project(x, {{weight, bias, lora}}, {}, out_type);
  return autograd::record("linear", p.inputs, std::move(p.outputs), std::move(p.backward))[0];
}

std::vector<Variable> linear_together(const Variable& x, const std::vector<LinearLayer>& layers, std::span<const RowLoras> rows) {
  const profile::Scope scope("linear_together");
  Projection p = project(x, layers, {}, x.value().dtype(), rows);
  return autograd::record("linear_together", p.inputs, std::move(p.outputs), std::move(p.backward));
}

Variable linear_onto(const Variable& addend, const Variable& x, const LinearLayer& layer, std::span<const RowLoras> rows) {
  const profile::Scope scope("linear_onto");
  Projection p = project(x, {layer}, addend, x.value().dtype(), rows);
  return autograd::record("linear_onto", p.inputs, std::move(p.outputs), std::move(p.backward))[0];
}

Variable grouped_linear(const Variable& x, const std::vector<int32_t>& begin, const std::vector<Variable>& weights,
                        const std::vector<Lora>& loras) {
  const profile::Scope scope("grouped_linear");
  const size_t experts = weights.size();
  HONE_CHECK(experts > 0 && begin.size() == experts + 1 && begin.back() == matrix(x.value()).rows &&
                 (loras.empty() || loras.size() == experts),
             "grouped_linear: {} weights, {} offsets, {} adapters", experts, begin.size(), loras.size());
  Tensor y = Tensor::empty({x.size(0), weights[0].size(0)}, x.value().dtype());
  std::vector<Tensor> us(experts);
  for (size_t e = 0; e < experts; ++e) {
    if (begin[e] == begin[e + 1]) continue;
    const Tensor rows = x.value().rows(begin[e], begin[e + 1]);
    const Lora* lora = loras.empty() || !loras[e].a.defined() ? nullptr : &loras[e];
    check_weight(rows, weights[e], lora);
    us[e] = low_rank_inputs(rows, {&lora, 1})[0];
    run(forward_call(y.rows(begin[e], begin[e + 1]), rows, weights[e].value(), {}, lora, us[e]));
  }

  std::vector<Variable> inputs{x};
  inputs.insert(inputs.end(), weights.begin(), weights.end());
  for (const Lora& lora : loras) inputs.insert(inputs.end(), {lora.a, lora.b});
  if (!autograd::needs_grad(inputs)) return y;
  return autograd::record(
      "grouped_linear", inputs, y,
      [saved = autograd::Saved(x), begin, weights, loras, us, experts](std::vector<Tensor>& grads, autograd::Gradients& out) {
        const Tensor input = saved.get();
        Tensor dx = out.needed(0) ? Tensor::empty(input.shape(), input.dtype()) : Tensor{};
        for (size_t e = 0; e < experts; ++e) {
          if (begin[e] == begin[e + 1]) continue;
          const Tensor rows = input.rows(begin[e], begin[e + 1]), dy = grads[0].rows(begin[e], begin[e + 1]);
          const Lora* lora = loras.empty() || !loras[e].a.defined() ? nullptr : &loras[e];
          Tensor du;
          const int lora_at = static_cast<int>(1 + experts + 2 * e);
          if (lora) du = LoraPass{*lora}.backward(rows, us[e], dy, out.leaf(lora_at), out.leaf(lora_at + 1));
          if (Tensor dw = out.leaf(static_cast<int>(1 + e)); dw.defined()) weight_gradient(dw, dy, rows);
          if (!dx.defined()) continue;
          const Tensor part = dx.rows(begin[e], begin[e + 1]);
          Call call(part, dy.size(0), input.shape()[-1], precision_of(input.dtype()));
          add_input_gradient(call, dy, weights[e].value(), lora, du);
          run(call);
          if (lora && lora->dropout != 0) LoraPass{*lora}.add_dropped_input_gradient(du, part);
        }
        if (dx.defined()) out.add(0, dx);
      });
}

}  // namespace hone::ops
