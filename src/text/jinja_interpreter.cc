#include "text/jinja_interpreter.h"

#include <fmt/format.h>

#include <algorithm>

namespace hone::text::jinja {

const Value* ArgumentReader::take(std::string_view name) {
  const size_t at = position_++;
  if (at < arguments_.positional.size()) return &arguments_.positional[at];
  for (const auto& [key, value] : arguments_.named) {
    if (key != name) continue;
    ++named_used_;
    return &value;
  }
  return nullptr;
}

const Value& ArgumentReader::require(std::string_view name) {
  const Value* value = take(name);
  if (!value) fail(fmt::format("{} needs the argument '{}'", what_, name));
  return *value;
}

int64_t ArgumentReader::take_int(std::string_view name, int64_t otherwise) {
  const Value* value = take(name);
  if (!value || value->is_none()) return otherwise;
  if (!value->is_integral()) fail(fmt::format("{}: '{}' must be an integer, not {}", what_, name, type_name(*value)));
  return value->as_int();
}

bool ArgumentReader::take_bool(std::string_view name, bool otherwise) {
  const Value* value = take(name);
  return value ? value->truthy() : otherwise;
}

void ArgumentReader::finish() const {
  if (arguments_.positional.size() > position_)
    fail(fmt::format("{} takes at most {} arguments, not {}", what_, position_, arguments_.positional.size()));
  if (named_used_ < arguments_.named.size())
    fail(fmt::format("{} does not know the argument '{}'", what_, arguments_.named.back().first));
}

Interpreter::Interpreter(const Program& program, std::vector<std::pair<std::string, Value>> variables, std::string date)
    : program_(program), date_(std::move(date)) {
  scope_ = new_scope(nullptr);
  for (auto& [name, value] : variables) scope_->names[name] = std::move(value);
}

Interpreter::~Interpreter() {
  for (const auto& space : namespaces_) space->members.clear();
  for (const auto& weak : scopes_)
    if (const auto scope = weak.lock()) scope->names.clear();
}

std::shared_ptr<Scope> Interpreter::new_scope(std::shared_ptr<Scope> outer) {
  auto scope = std::make_shared<Scope>();
  scope->outer = std::move(outer);
  if (scopes_.size() >= 1024) std::erase_if(scopes_, [](const auto& weak) { return weak.expired(); });
  scopes_.push_back(scope);
  return scope;
}

Text Interpreter::run() {
  Text out;
  out_ = &out;
  execute(program_.body);
  charge_text(out.size());
  return out;
}

void Interpreter::write(const Value& value) {
  if (value.is_string()) {
    charge_text(value.text().size());
    out_->append(value.text());
    return;
  }
  const Text text = to_text(value);
  charge_text(text.size());
  out_->append(text);
}

Text Interpreter::capture(const Block& body) {
  Text text;
  Text* outer = std::exchange(out_, &text);
  ++captures_;
  execute(body);
  --captures_;
  out_ = outer;
  return text;
}

Interpreter::Flow Interpreter::execute(const Block& block) {
  for (const StatementPtr& node : block) {
    const Flow flow = execute(*node);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const Statement& node) {
  charge(1);
  line_ = node.line;
  switch (node.kind) {
    case StatementKind::kText:
      write(node.constant);
      return Flow::kNext;
    case StatementKind::kOutput:
      write(evaluate(*node.value));
      return Flow::kNext;
    case StatementKind::kIf:
      for (const auto& [test, body] : node.branches)
        if (evaluate(*test).truthy()) return execute(body);
      return execute(node.otherwise);
    case StatementKind::kFor:
      return execute_for(node);
    case StatementKind::kSet:
      assign(*node.target, evaluate(*node.value));
      return Flow::kNext;
    case StatementKind::kSetBlock: {
      Value text = Value::string(capture(node.body));
      assign(*node.target, node.value ? evaluate_filter(*node.value, &text) : text);
      return Flow::kNext;
    }
    case StatementKind::kWith: {
      std::vector<Value> values;
      for (const auto& value : node.values) values.push_back(evaluate(*value));
      const auto outer = scope_;
      scope_ = new_scope(outer);
      for (size_t i = 0; i < values.size(); ++i) assign(*node.targets[i], values[i]);
      const Flow flow = execute(node.body);
      scope_ = outer;
      return flow;
    }
    case StatementKind::kMacro: {
      auto macro = std::make_shared<MacroObject>();
      macro->node = &node;
      macro->scope = scope_;
      scope_->names[node.name] = Value::object(Kind::kMacro, std::move(macro));
      return Flow::kNext;
    }
    case StatementKind::kCallBlock: {
      auto body = std::make_shared<MacroObject>();
      body->node = &node;
      body->scope = scope_;
      const Value caller = Value::object(Kind::kMacro, std::move(body));
      const Value callee = evaluate(*node.value->operands[0]);
      write(call(callee, evaluate(*node.value->arguments), &caller));
      return Flow::kNext;
    }
    case StatementKind::kFilterBlock: {
      const Value text = Value::string(capture(node.body));
      write(evaluate_filter(*node.value, &text));
      return Flow::kNext;
    }
    case StatementKind::kGeneration: {
      if (captures_ > 0) fail_unsupported("{% generation %} inside a macro or a captured block");
      const size_t begin = out_->size();
      const auto outer = scope_;
      scope_ = new_scope(outer);
      execute(node.body);
      scope_ = outer;
      if (out_->size() > begin) generations_.emplace_back(begin, out_->size());
      return Flow::kNext;
    }
    case StatementKind::kBreak: return Flow::kBreak;
    case StatementKind::kContinue: return Flow::kContinue;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute_for(const Statement& node) {
  std::vector<Value> items = iterate(evaluate(*node.value));
  const auto outer = scope_;
  if (node.condition) {
    std::vector<Value> kept;
    for (Value& item : items) {
      scope_ = new_scope(outer);
      assign(*node.target, item);
      if (evaluate(*node.condition).truthy()) kept.push_back(std::move(item));
      scope_ = outer;
    }
    items = std::move(kept);
  }
  if (items.empty()) return execute(node.otherwise);
  auto loop = std::make_shared<LoopObject>();
  loop->items = std::move(items);
  loop->depth = ++loop_depth_;
  const Value loop_value = Value::object(Kind::kLoop, loop);
  for (loop->index0 = 0; loop->index0 < loop->items.size(); ++loop->index0) {
    charge(1);
    scope_ = new_scope(outer);
    scope_->names["loop"] = loop_value;
    assign(*node.target, loop->items[loop->index0]);
    const Flow flow = execute(node.body);
    scope_ = outer;
    if (flow == Flow::kBreak) break;
  }
  --loop_depth_;
  return Flow::kNext;
}

void Interpreter::assign(const Expression& target, const Value& value) {
  switch (target.kind) {
    case ExpressionKind::kName:
      scope_->names[target.name] = value;
      return;
    case ExpressionKind::kNamespaceItem: {
      const Value space = lookup(target.name);
      if (!space.is(Kind::kNamespace)) fail(fmt::format("{} is not a namespace: its items cannot be set", target.name));
      space.as<NamespaceObject>().set(target.attribute, value);
      return;
    }
    default: {
      const std::vector<Value> items = iterate(value);
      if (items.size() != target.operands.size())
        fail(fmt::format("{} values cannot be unpacked into {} names", items.size(), target.operands.size()));
      for (size_t i = 0; i < items.size(); ++i) assign(*target.operands[i], items[i]);
    }
  }
}

Value Interpreter::call_macro(const Value& macro, const CallArguments& arguments, const Value* caller) {
  const auto keep = macro.shared();
  const auto& object = macro.as<MacroObject>();
  const Statement& node = *object.node;
  const std::string what = fmt::format("macro {}", node.name);
  const auto outer = scope_;
  const auto scope = new_scope(object.scope);
  scope_ = scope;
  const size_t count = node.parameters.size();
  for (size_t i = 0; i < count; ++i) {
    const std::string& name = node.parameters[i];
    if (i < arguments.positional.size()) {
      scope->names[name] = arguments.positional[i];
      continue;
    }
    const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& pair) { return pair.first == name; });
    const size_t first_default = count - node.defaults.size();
    if (named != arguments.named.end()) scope->names[name] = named->second;
    else if (i >= first_default) scope->names[name] = evaluate(*node.defaults[i - first_default]);
    else scope->names[name] = Value::undefined(name);
  }
  if (arguments.positional.size() > count) {
    if (!node.uses_varargs) fail(fmt::format("{} takes at most {} arguments", what, count));
    scope->names["varargs"] =
        Value::tuple({arguments.positional.begin() + static_cast<std::ptrdiff_t>(count), arguments.positional.end()});
  } else if (node.uses_varargs) {
    scope->names["varargs"] = Value::tuple({});
  }
  auto extra = std::make_shared<DictObject>();
  for (const auto& [name, value] : arguments.named) {
    if (std::find(node.parameters.begin(), node.parameters.end(), name) != node.parameters.end()) continue;
    if (!node.uses_kwargs) fail(fmt::format("{} does not know the argument '{}'", what, name));
    extra->set(Value::string(name), value);
  }
  if (node.uses_kwargs) scope->names["kwargs"] = Value::object(Kind::kDict, std::move(extra));
  if (caller) scope->names["caller"] = *caller;
  Text text = capture(node.body);
  scope_ = outer;
  return Value::string(std::move(text));
}

}  // namespace hone::text::jinja
