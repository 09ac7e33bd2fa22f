#include "autograd/variable.h"

#include <algorithm>
#include <map>

#include "base/profile.h"

namespace hone::autograd {
namespace {
thread_local bool grad_enabled = true;
thread_local uint64_t next_sequence = 0;
void (*accumulate_in_place)(const Tensor&, const Tensor&) = nullptr;
}  // namespace

class Node {
 public:
  struct Edge {
    std::shared_ptr<Node> node;  // the input's producer, or
    std::shared_ptr<Leaf> leaf;  // the leaf itself; neither for a constant
    int output = 0;
    Shape shape;
  };

  static Edge edge(const Variable& v) { return {v.node_, v.leaf_, v.output_, v.shape()}; }

  const char* op = "";
  uint64_t sequence = 0;
  std::vector<Edge> inputs;
  std::vector<Tensor> grads;  // of the outputs, collected so far
  Backward backward;
};

namespace {

void accumulate(Tensor& into, Tensor from) {
  if (!into.defined()) {
    into = std::move(from);
    return;
  }
  HONE_CHECK(accumulate_in_place, "no accumulate function; link the ops layer");
  if (into.owners() > 1) into = into.clone();  // shared with another edge (the gradient of a residual sum)
  accumulate_in_place(into, from);
}

}  // namespace

Variable Variable::parameter(Tensor value, std::string name) {
  Variable v(value);
  v.leaf_ = std::make_shared<Leaf>(Leaf{std::move(value), {}, std::move(name)});
  return v;
}

Variable Variable::reshape(Shape shape) const {
  Variable v = *this;
  v.value_ = value_.reshape(shape);
  return v;
}

Tensor Saved::get() const {
  if (!recipe_) return value_;
  if (!recipe_->made.defined()) recipe_->made = recipe_->make();
  return recipe_->made.reshape(shape_);
}

bool Gradients::needed(int i) const {
  const auto& edge = node_.inputs[static_cast<size_t>(i)];
  return edge.node || edge.leaf;
}

void Gradients::add(int i, Tensor g) {
  auto& edge = node_.inputs[static_cast<size_t>(i)];
  HONE_CHECK(g.elements() == edge.shape.elements(), "{}: gradient {} for input {} of shape {}", node_.op, g.shape().str(),
             i, edge.shape.str());
  if (edge.leaf)
    accumulate(edge.leaf->grad, g.reshape(edge.shape));
  else if (edge.node)
    accumulate(edge.node->grads[static_cast<size_t>(edge.output)], std::move(g));
}

Tensor Gradients::waiting(int i) {
  auto& edge = node_.inputs[static_cast<size_t>(i)];
  if (!edge.node) return {};
  Tensor& grad = edge.node->grads[static_cast<size_t>(edge.output)];
  return grad.defined() && grad.owners() == 1 ? grad : Tensor{};
}

Tensor Gradients::leaf(int i) {
  auto& edge = node_.inputs[static_cast<size_t>(i)];
  HONE_CHECK(!edge.node, "{}: input {} comes from another op; only a parameter's gradient is computed here", node_.op, i);
  if (!edge.leaf) return {};
  if (!edge.leaf->grad.defined()) edge.leaf->grad = Tensor::zeros(edge.shape, DType::kF32);
  return edge.leaf->grad;
}

bool needs_grad(std::initializer_list<const Variable*> inputs) {
  return grad_enabled && std::any_of(inputs.begin(), inputs.end(), [](auto* v) { return v->requires_grad(); });
}

bool needs_grad(const std::vector<Variable>& inputs) {
  return grad_enabled && std::any_of(inputs.begin(), inputs.end(), [](auto& v) { return v.requires_grad(); });
}

std::vector<Variable> record(const char* op, const std::vector<Variable>& inputs, std::vector<Tensor> outputs,
                             Backward backward) {
  std::vector<Variable> variables;
  for (Tensor& output : outputs) variables.emplace_back(std::move(output));
  if (!needs_grad(inputs)) return variables;
  auto node = std::make_shared<Node>();
  node->op = op;
  node->sequence = next_sequence++;
  for (const Variable& input : inputs) node->inputs.push_back(Node::edge(input));
  node->grads.resize(variables.size());
  node->backward = std::move(backward);
  for (size_t i = 0; i < variables.size(); ++i) {
    variables[i].node_ = node;
    variables[i].output_ = static_cast<int>(i);
  }
  return variables;
}

Variable record(const char* op, const std::vector<Variable>& inputs, Tensor output, Backward backward) {
  std::vector<Tensor> outputs{std::move(output)};
  return record(op, inputs, std::move(outputs), std::move(backward))[0];
}

void forbid_grad(const char* op, const std::vector<Variable>& inputs) {
  if (needs_grad(inputs))
    throw Error(ErrorCode::kUnsupported, op, "this operation has no backward pass, and an input wants a gradient",
                "freeze the parameters before it, or leave it out while training");
}

NoGrad::NoGrad() : before_(grad_enabled) { grad_enabled = false; }
NoGrad::~NoGrad() { grad_enabled = before_; }

void backward(const Variable& root, Tensor seed) {
  HONE_CHECK(root.requires_grad(), "backward from a constant");
  HONE_CHECK(seed.elements() == root.value().elements(), "seed {} for {}", seed.shape().str(), root.shape().str());
  if (root.leaf()) {
    accumulate(root.leaf()->grad, std::move(seed));
    return;
  }
  // Nodes by the order they were recorded in: a node runs only after every node that used its outputs.
  std::map<uint64_t, std::shared_ptr<Node>> ready;
  accumulate(root.node_->grads[static_cast<size_t>(root.output_)], std::move(seed));
  ready.emplace(root.node_->sequence, root.node_);
  while (!ready.empty()) {
    const std::shared_ptr<Node> node = std::prev(ready.end())->second;
    ready.erase(std::prev(ready.end()));
    if (std::none_of(node->grads.begin(), node->grads.end(), [](auto& g) { return g.defined(); })) continue;
    HONE_CHECK(node->backward != nullptr, "{}: its part of the graph was already run backwards", node->op);
    std::vector<Tensor> grads = std::move(node->grads);
    node->grads.assign(grads.size(), Tensor{});
    Gradients gradients(*node);
    const Backward run = std::move(node->backward);
    node->backward = nullptr;
    {
      const profile::Scope scope(node->op, profile::Phase::kBackward);
      run(grads, gradients);
    }
    for (const auto& edge : node->inputs)
      if (edge.node) ready.emplace(edge.node->sequence, edge.node);
    node->inputs.clear();
  }
}

Variable checkpoint(const std::function<Variable(const Variable&)>& fn, const Variable& x) {
  Tensor y;
  {
    NoGrad no_grad;
    y = fn(x.detach()).value();
  }
  if (!grad_enabled) return Variable(y);
  // The parameters inside fn want gradients even when x does not, so the node is recorded through a stand-in.
  Variable anchor = x.requires_grad() ? x : Variable::parameter(x.value(), "checkpoint input");
  return record("checkpoint", {anchor}, y, [fn, input = x.value()](std::vector<Tensor>& dy, Gradients& grads) {
    const Variable again = Variable::parameter(input, "checkpoint input");
    const Variable out = fn(again);
    if (!out.requires_grad()) return;
    backward(out, dy[0]);
    if (grads.needed(0) && again.leaf()->grad.defined()) grads.add(0, again.leaf()->grad);
  });
}

void set_accumulate(void (*function)(const Tensor&, const Tensor&)) { accumulate_in_place = function; }

}  // namespace hone::autograd
