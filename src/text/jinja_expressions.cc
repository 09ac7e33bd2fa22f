// Evaluation of expressions.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja_interpreter.h"

namespace hone::text::jinja {

std::vector<Value> iterate(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined: return {};
    case Kind::kList: case Kind::kTuple: case Kind::kRange: case Kind::kView: case Kind::kGenerator:
      charge(1 + value.items().size() / 2);
      return value.items();
    case Kind::kDict: {
      std::vector<Value> keys;
      for (const auto& [key, item] : value.as<DictObject>().entries) keys.push_back(key);
      charge(1 + keys.size() / 2);
      return keys;
    }
    case Kind::kString: {
      std::vector<Value> characters;
      for (size_t i = 0; i < value.bytes().size();) {
        const size_t n = code_point_at(value.bytes(), i).length;
        characters.push_back(Value::string(value.text().slice(i, i + n)));
        i += n;
      }
      return characters;
    }
    default: fail(fmt::format("a {} cannot be iterated over", type_name(value)));
  }
}

int64_t length(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined: return 0;
    case Kind::kString: return static_cast<int64_t>(code_points(value.bytes()));
    case Kind::kList: case Kind::kTuple: case Kind::kRange: case Kind::kView:
      return static_cast<int64_t>(value.items().size());
    case Kind::kDict: return static_cast<int64_t>(value.as<DictObject>().entries.size());
    case Kind::kLoop: return static_cast<int64_t>(value.as<LoopObject>().items.size());
    default: fail(fmt::format("a {} has no length", type_name(value)));
  }
}

bool contains(const Value& haystack, const Value& needle) {
  switch (haystack.kind()) {
    case Kind::kString:
      if (!needle.is_string()) fail(fmt::format("'in <str>' needs a string on its left, not {}", type_name(needle)));
      charge(1 + haystack.bytes().size() / 32);
      return find_bytes(haystack.bytes(), needle.bytes()) != std::string::npos;
    case Kind::kDict: return haystack.as<DictObject>().find(needle) != nullptr;
    case Kind::kUndefined: return false;
    default:
      for (const Value& item : iterate(haystack))
        if (equal(item, needle)) return true;
      return false;
  }
}

namespace {

[[noreturn]] void no_operator(std::string_view symbol, const Value& a, const Value& b) {
  if (a.is_undefined()) fail_undefined(a);
  if (b.is_undefined()) fail_undefined(b);
  fail(fmt::format("{} cannot be applied to {} and {}", symbol, type_name(a), type_name(b)));
}

Value checked(bool overflow, int64_t value) {
  if (overflow) fail_unsupported("an integer leaves the range of 64 bits");
  return Value::integer(value);
}

Value repeat(const Value& sequence, int64_t times) {
  times = std::max<int64_t>(times, 0);
  if (sequence.is_string()) {
    const size_t size = sequence.bytes().size();
    if (size > 0 && static_cast<size_t>(times) > text_limit() / size) charge_text(text_limit() + 1);
    Text text;
    for (int64_t i = 0; i < times && size > 0; ++i) text.append(sequence.text());
    return Value::string(std::move(text));
  }
  std::vector<Value> items;
  for (int64_t i = 0; i < times && !sequence.items().empty(); ++i) {
    charge(1 + sequence.items().size() / 2);
    items.insert(items.end(), sequence.items().begin(), sequence.items().end());
  }
  return Value::sequence(sequence.kind(), std::move(items));
}

Value floor_divide(const Value& a, const Value& b, bool remainder) {
  if (b.as_float() == 0) fail("division by zero");
  if (!a.is_integral() || !b.is_integral()) {
    const double quotient = std::floor(a.as_float() / b.as_float());
    return Value::real(remainder ? a.as_float() - quotient * b.as_float() : quotient);
  }
  const int64_t x = a.as_int(), y = b.as_int();
  if (y == -1) return remainder ? Value::integer(0) : checked(x == INT64_MIN, x == INT64_MIN ? 0 : -x);
  const bool adjust = x % y != 0 && (x % y < 0) != (y < 0);
  return Value::integer(remainder ? x % y + (adjust ? y : 0) : x / y - (adjust ? 1 : 0));
}

Value power(const Value& a, const Value& b) {
  if (!a.is_integral() || !b.is_integral() || b.as_int() < 0) return Value::real(std::pow(a.as_float(), b.as_float()));
  int64_t result = 1;
  for (int64_t i = 0; i < b.as_int(); ++i) {
    charge(1);
    if (__builtin_mul_overflow(result, a.as_int(), &result)) fail_unsupported("an integer leaves the range of 64 bits");
  }
  return Value::integer(result);
}

}  // namespace

Value arithmetic(ExpressionKind kind, const Value& a, const Value& b) {
  const bool integers = a.is_integral() && b.is_integral(), numbers = a.is_number() && b.is_number();
  int64_t result = 0;
  switch (kind) {
    case ExpressionKind::kAdd:
      if (integers) {
        const bool overflow = __builtin_add_overflow(a.as_int(), b.as_int(), &result);
        return checked(overflow, result);
      }
      if (numbers) return Value::real(a.as_float() + b.as_float());
      if (a.is_string() && b.is_string()) {
        Text text = a.text();
        text.append(b.text());
        return Value::string(std::move(text));
      }
      if (a.kind() == b.kind() && (a.is(Kind::kList) || a.is(Kind::kTuple))) {
        std::vector<Value> items = a.items();
        items.insert(items.end(), b.items().begin(), b.items().end());
        return Value::sequence(a.kind(), std::move(items));
      }
      no_operator("+", a, b);
    case ExpressionKind::kSubtract:
      if (integers) {
        const bool overflow = __builtin_sub_overflow(a.as_int(), b.as_int(), &result);
        return checked(overflow, result);
      }
      if (numbers) return Value::real(a.as_float() - b.as_float());
      no_operator("-", a, b);
    case ExpressionKind::kMultiply:
      if (integers) {
        const bool overflow = __builtin_mul_overflow(a.as_int(), b.as_int(), &result);
        return checked(overflow, result);
      }
      if (numbers) return Value::real(a.as_float() * b.as_float());
      if (b.is_integral() && (a.is_string() || a.is(Kind::kList) || a.is(Kind::kTuple))) return repeat(a, b.as_int());
      if (a.is_integral() && (b.is_string() || b.is(Kind::kList) || b.is(Kind::kTuple))) return repeat(b, a.as_int());
      no_operator("*", a, b);
    case ExpressionKind::kDivide:
      if (!numbers) no_operator("/", a, b);
      if (b.as_float() == 0) fail("division by zero");
      return Value::real(a.as_float() / b.as_float());
    case ExpressionKind::kFloorDivide:
      if (!numbers) no_operator("//", a, b);
      return floor_divide(a, b, /*remainder=*/false);
    case ExpressionKind::kModulo:
      if (a.is_string()) fail_unsupported("formatting a string with %: use ~ or the format filter");
      if (!numbers) no_operator("%", a, b);
      return floor_divide(a, b, /*remainder=*/true);
    case ExpressionKind::kPower:
      if (!numbers) no_operator("**", a, b);
      return power(a, b);
    default: fail("not an arithmetic operator");
  }
}

Value Interpreter::lookup(std::string_view name) const {
  for (const Scope* scope = scope_.get(); scope; scope = scope->outer.get())
    if (const auto it = scope->names.find(name); it != scope->names.end()) return it->second;
  if (const auto id = global_function(name)) return Value::function(*id);
  return Value::undefined(fmt::format("'{}'", name));
}

Value Interpreter::evaluate(const Expression& node) {
  charge(1);
  if (++depth_ > Budget{}.depth) fail(fmt::format("evaluation nests deeper than {} levels", Budget{}.depth));
  line_ = node.line;
  Value value = evaluate_node(node);
  --depth_;
  return value;
}

Value Interpreter::evaluate_node(const Expression& node) {
  const auto operand = [&](size_t i) { return evaluate(*node.operands[i]); };
  switch (node.kind) {
    case ExpressionKind::kConstant: return node.constant;
    case ExpressionKind::kName: return lookup(node.name);
    case ExpressionKind::kTuple:
    case ExpressionKind::kList: {
      std::vector<Value> items;
      for (const auto& child : node.operands) items.push_back(evaluate(*child));
      return Value::sequence(node.kind == ExpressionKind::kTuple ? Kind::kTuple : Kind::kList, std::move(items));
    }
    case ExpressionKind::kDict: {
      auto dict = std::make_shared<DictObject>();
      dict->nesting = 1;
      for (size_t i = 0; i + 1 < node.operands.size(); i += 2) dict->set(operand(i), operand(i + 1));
      return Value::object(Kind::kDict, std::move(dict));
    }
    case ExpressionKind::kCondition:
      if (operand(0).truthy()) return operand(1);
      return node.operands[2] ? operand(2) : Value::undefined("the value of an 'if' without 'else'");
    case ExpressionKind::kOr: {
      Value left = operand(0);
      return left.truthy() ? left : operand(1);
    }
    case ExpressionKind::kAnd: {
      Value left = operand(0);
      return left.truthy() ? operand(1) : left;
    }
    case ExpressionKind::kNot: return Value::boolean(!operand(0).truthy());
    case ExpressionKind::kNegative: return arithmetic(ExpressionKind::kSubtract, Value::integer(0), operand(0));
    case ExpressionKind::kPositive: return arithmetic(ExpressionKind::kAdd, Value::integer(0), operand(0));
    case ExpressionKind::kCompare: return Value::boolean(compare_chain(node));
    case ExpressionKind::kAdd: case ExpressionKind::kSubtract: case ExpressionKind::kMultiply:
    case ExpressionKind::kDivide: case ExpressionKind::kFloorDivide: case ExpressionKind::kModulo:
    case ExpressionKind::kPower: {
      const Value left = operand(0);
      return arithmetic(node.kind, left, operand(1));
    }
    case ExpressionKind::kConcatenate: {
      Text text;
      for (const auto& child : node.operands) text.append(to_text(evaluate(*child)));
      return Value::string(std::move(text));
    }
    case ExpressionKind::kAttribute: return attribute(operand(0), node.name);
    case ExpressionKind::kItem: {
      const Value object = operand(0);
      if (node.operands[1]->kind == ExpressionKind::kSlice) return slice(object, *node.operands[1]);
      return item(object, operand(1));
    }
    case ExpressionKind::kCall: {
      const Value callee = operand(0);
      return call(callee, evaluate(*node.arguments));
    }
    case ExpressionKind::kFilter: return evaluate_filter(node, nullptr);
    case ExpressionKind::kTest: {
      if (!is_test(node.name)) fail_unsupported(fmt::format("the test '{}' is not known", node.name));
      const Value input = operand(0);
      return Value::boolean(apply_test(node.name, input, evaluate(*node.arguments)));
    }
    case ExpressionKind::kSlice: fail_unsupported("a slice among several indices");
    case ExpressionKind::kNamespaceItem: break;
  }
  fail("this expression has no value");
}

Value Interpreter::evaluate_filter(const Expression& node, const Value* input) {
  if (!is_filter(node.name)) fail_unsupported(fmt::format("the filter '{}' is not known", node.name));
  Value value;
  if (!node.operands[0]) value = *input;
  else if (input && node.operands[0]->kind == ExpressionKind::kFilter) value = evaluate_filter(*node.operands[0], input);
  else value = evaluate(*node.operands[0]);
  const CallArguments arguments = evaluate(*node.arguments);
  line_ = node.line;
  return apply_filter(node.name, value, arguments);
}

bool Interpreter::compare_chain(const Expression& node) {
  Value left = evaluate(*node.operands[0]);
  for (size_t i = 0; i < node.comparisons.size(); ++i) {
    Value right = evaluate(*node.operands[i + 1]);
    bool holds = false;
    switch (node.comparisons[i]) {
      case Comparison::kEqual: holds = equal(left, right); break;
      case Comparison::kNotEqual: holds = !equal(left, right); break;
      case Comparison::kLess: holds = compare(left, right) == -1; break;
      case Comparison::kLessEqual: holds = compare(left, right) == -1 || compare(left, right) == 0; break;
      case Comparison::kGreater: holds = compare(left, right) == 1; break;
      case Comparison::kGreaterEqual: holds = compare(left, right) == 1 || compare(left, right) == 0; break;
      case Comparison::kIn: holds = contains(right, left); break;
      case Comparison::kNotIn: holds = !contains(right, left); break;
    }
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

CallArguments Interpreter::evaluate(const Arguments& arguments) {
  CallArguments result;
  for (const auto& value : arguments.positional) result.positional.push_back(evaluate(*value));
  if (arguments.star)
    for (Value& value : iterate(evaluate(*arguments.star))) result.positional.push_back(std::move(value));
  for (const auto& [name, value] : arguments.named) result.named.emplace_back(name, evaluate(*value));
  if (arguments.double_star) {
    const Value dict = evaluate(*arguments.double_star);
    if (!dict.is(Kind::kDict)) fail("what follows ** must be a dict");
    for (const auto& [key, value] : dict.as<DictObject>().entries) {
      if (!key.is_string()) fail("the keys after ** must be strings");
      result.named.emplace_back(key.bytes(), value);
    }
  }
  return result;
}

namespace {

Value method(const Value& self, const std::string& name) {
  auto object = std::make_shared<MethodObject>();
  object->self = self;
  object->name = name;
  return Value::object(Kind::kMethod, std::move(object));
}

std::string missing(const Value& object, std::string_view name) {
  return fmt::format("'{} object' has no attribute '{}': it", type_name(object), name);
}

}  // namespace

// Python's getattr first, then the item of that name.
Value Interpreter::attribute(const Value& object, const std::string& name) {
  if (object.is_undefined()) fail_undefined(object);
  if (object.is(Kind::kLoop)) return loop_attribute(object, name);
  if (object.is(Kind::kNamespace)) {
    const Value* found = object.as<NamespaceObject>().find(name);
    return found ? *found : Value::undefined(missing(object, name));
  }
  if (object.is(Kind::kMacro) && name == "name") return Value::string(object.as<MacroObject>().node->name);
  if (has_method(object, name)) return method(object, name);
  if (object.is(Kind::kDict))
    if (const Value* found = object.as<DictObject>().find(name)) return *found;
  return Value::undefined(missing(object, name));
}

// The item first, then the attribute of that name.
Value Interpreter::item(const Value& object, const Value& key) {
  if (object.is_undefined()) fail_undefined(object);
  if (object.is(Kind::kDict)) {
    if (const Value* found = object.as<DictObject>().find(key)) return *found;
  } else if (key.is_integral() && (object.is_string() || object.is(Kind::kList) || object.is(Kind::kTuple) || object.is(Kind::kRange))) {
    const int64_t size = length(object), index = key.as_int() < 0 ? key.as_int() + size : key.as_int();
    if (index < 0 || index >= size) return Value::undefined(fmt::format("item {} of a {} of {}", key.as_int(), type_name(object), size));
    if (!object.is_string()) return object.items()[static_cast<size_t>(index)];
    const size_t begin = byte_offset(object.bytes(), static_cast<size_t>(index));
    return Value::string(object.text().slice(begin, begin + code_point_at(object.bytes(), begin).length));
  }
  if (key.is_string()) return attribute(object, key.bytes());
  if (!object.is_container() && !object.is_string() && !object.is(Kind::kLoop) && !object.is(Kind::kNamespace))
    return Value::undefined(fmt::format("an item of a {}", type_name(object)));
  return Value::undefined(fmt::format("'{} object' has no item {}: it", type_name(object), to_text(key).bytes()));
}

Value Interpreter::slice(const Value& object, const Expression& node) {
  if (object.is_undefined()) fail_undefined(object);
  if (!object.is_string() && !object.is(Kind::kList) && !object.is(Kind::kTuple))
    fail(fmt::format("a {} cannot be sliced", type_name(object)));
  const auto bound = [&](size_t i) -> std::optional<int64_t> {
    if (!node.operands[i]) return std::nullopt;
    const Value value = evaluate(*node.operands[i]);
    if (value.is_none()) return std::nullopt;
    if (!value.is_integral()) fail("slice bounds must be integers");
    return value.as_int();
  };
  const auto begin = bound(0), end = bound(1);
  const int64_t step = bound(2).value_or(1), size = length(object);
  if (step == 0) fail("the step of a slice cannot be zero");
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  const auto place = [&](std::optional<int64_t> at, int64_t otherwise) {
    if (!at) return otherwise;
    return std::clamp(*at < 0 ? *at + size : *at, low, high);
  };
  const int64_t from = place(begin, step > 0 ? low : high), to = place(end, step > 0 ? high : low);
  if (object.is_string() && step == 1) {
    const size_t a = byte_offset(object.bytes(), static_cast<size_t>(from));
    const size_t b = byte_offset(object.bytes(), static_cast<size_t>(std::max(from, to)));
    return Value::string(object.text().slice(a, b));
  }
  const std::vector<Value> all = iterate(object);
  std::vector<Value> items;
  for (int64_t i = from; step > 0 ? i < to : i > to; i += step) items.push_back(all[static_cast<size_t>(i)]);
  if (!object.is_string()) return Value::sequence(object.kind(), std::move(items));
  Text text;
  for (const Value& character : items) text.append(character.text());
  return Value::string(std::move(text));
}

Value Interpreter::call(const Value& callee, const CallArguments& arguments, const Value* caller) {
  switch (callee.kind()) {
    case Kind::kMacro: return call_macro(callee, arguments, caller);
    case Kind::kMethod: {
      const auto keep = callee.shared();
      return call_method(callee.as<MethodObject>(), arguments);
    }
    case Kind::kFunction: return call_function(static_cast<int>(callee.as_int()), arguments);
    case Kind::kUndefined: fail_undefined(callee);
    default: fail(fmt::format("a {} cannot be called", type_name(callee)));
  }
}

}  // namespace hone::text::jinja
