// A tensor in the computation graph, the graph's nodes and the backward pass. Knows no operation.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace hone::autograd {

/// A trainable tensor and the gradient it has collected so far (same shape, F32; undefined until the first backward pass).
struct Leaf {
  Tensor value;
  Tensor grad;
  std::string name;
};

class Node;

/// How to make an op's output again from what its backward pass keeps anyway (norms, activations: cheap, and as large as what
/// the wide products keep). The first backward pass that asks keeps the result for the others; the op's own drops it.
struct Recipe {
  std::function<Tensor()> make;
  Tensor made;
};

/// A tensor plus its place in the graph; copies share both. One without a place is a constant.
class Variable {
 public:
  Variable() = default;
  /// A constant.
  Variable(Tensor value) : value_(std::move(value)) {}  // NOLINT: implicit on purpose
  /// A trainable leaf.
  static Variable parameter(Tensor value, std::string name);

  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  int64_t size(int axis) const { return value_.size(axis); }
  bool defined() const { return value_.defined(); }
  bool requires_grad() const { return node_ != nullptr || leaf_ != nullptr; }
  /// Null unless this is a leaf.
  const std::shared_ptr<Leaf>& leaf() const { return leaf_; }
  /// Attaches a way to make the value again; see Saved.
  void set_recipe(std::shared_ptr<Recipe> recipe) { recipe_ = std::move(recipe); }
  /// The same value as a constant.
  Variable detach() const { return Variable(value_); }
  /// The same values in another shape, at the same place in the graph.
  Variable reshape(Shape shape) const;

 private:
  friend class Node;
  friend class Saved;
  friend std::vector<Variable> record(const char*, const std::vector<Variable>&, std::vector<Tensor>,
                                      std::function<void(std::vector<Tensor>&, class Gradients&)>);
  friend void backward(const Variable&, Tensor);
  Tensor value_;
  std::shared_ptr<Node> node_;
  int output_ = 0;  // which output of node_
  std::shared_ptr<Leaf> leaf_;
  std::shared_ptr<Recipe> recipe_;
};

/// An input that a backward pass will need: its recipe when it has one, else the tensor itself.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Variable& v) : recipe_(v.recipe_), shape_(v.shape()) {
    if (!recipe_) value_ = v.value();
  }
  Tensor get() const;

 private:
  std::shared_ptr<Recipe> recipe_;
  Tensor value_;
  Shape shape_;
};

/// Where an op's backward function puts the gradients of its inputs.
class Gradients {
 public:
  explicit Gradients(Node& node) : node_(node) {}
  /// Whether input i wants a gradient.
  bool needed(int i) const;
  /// Gives input i the gradient g (any shape with as many elements).
  void add(int i, Tensor g);
  /// A gradient of input i that already waits and may be added to in place; undefined when there is none.
  Tensor waiting(int i);
  /// The F32 gradient of leaf input i, zeros at first; add to it in place. Undefined when input i is not a leaf.
  Tensor leaf(int i);

 private:
  Node& node_;
};

/// dy[k] is the gradient of output k; undefined when nothing used that output.
using Backward = std::function<void(std::vector<Tensor>& dy, Gradients&)>;

/// True when gradients are recorded on this thread and any input wants one.
bool needs_grad(std::initializer_list<const Variable*> inputs);
bool needs_grad(const std::vector<Variable>& inputs);

/// Wraps an op's outputs. When any input wants a gradient, `backward` is kept and called once with the outputs' gradients.
std::vector<Variable> record(const char* op, const std::vector<Variable>& inputs, std::vector<Tensor> outputs,
                             Backward backward);
/// The same for one output.
Variable record(const char* op, const std::vector<Variable>& inputs, Tensor output, Backward backward);
/// For ops without a backward pass: throws Error{kUnsupported} when a gradient would be needed.
void forbid_grad(const char* op, const std::vector<Variable>& inputs);

/// While one lives, nothing on this thread is recorded.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

/// Runs the graph behind `root` backwards from gradient `seed` (root's shape) and adds into every leaf's grad. Nodes run in
/// the reverse of the order they were recorded in; each frees what it saved as soon as it has run.
void backward(const Variable& root, Tensor seed);

/// y = fn(x), keeping x alone: the backward pass runs fn again to rebuild what it needs (Chen et al. 2016).
Variable checkpoint(const std::function<Variable(const Variable&)>& fn, const Variable& x);

/// How two gradients of one tensor are added, set once by the ops layer: into += from, same shape and type.
void set_accumulate(void (*accumulate)(const Tensor& into, const Tensor& from));

}  // namespace hone::autograd
