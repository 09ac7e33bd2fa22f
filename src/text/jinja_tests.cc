// What may follow "is".
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja_interpreter.h"

namespace hone::text::jinja {
namespace {

constexpr std::string_view kTests[] = {
    "boolean", "callable", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "greaterthan", "gt",
    "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sameas",
    "sequence", "string", "true", "undefined", "upper", "filter", "test"};

}  // namespace

bool is_test(std::string_view name) { return std::find(std::begin(kTests), std::end(kTests), name) != std::end(kTests); }

bool Interpreter::apply_test(std::string_view name, const Value& x, const CallArguments& arguments) {
  if (!is_test(name)) fail_unsupported(fmt::format("the test '{}' is not known", name));
  ArgumentReader in(arguments, fmt::format("test '{}'", name));
  const auto other = [&]() -> const Value& { return in.require("other"); };
  const auto parity = [&] {
    const Value rest = arithmetic(ExpressionKind::kModulo, x, Value::integer(2));
    return rest.truthy();
  };
  bool result = false;
  if (name == "defined") result = !x.is_undefined();
  else if (name == "undefined") result = x.is_undefined();
  else if (name == "none") result = x.is_none();
  else if (name == "boolean") result = x.is(Kind::kBool);
  else if (name == "true") result = x.is(Kind::kBool) && x.as_bool();
  else if (name == "false") result = x.is(Kind::kBool) && !x.as_bool();
  else if (name == "integer") result = x.is(Kind::kInt);
  else if (name == "float") result = x.is(Kind::kFloat);
  else if (name == "number") result = x.is_number();
  else if (name == "string") result = x.is_string();
  else if (name == "mapping") result = x.is(Kind::kDict);
  else if (name == "iterable") result = x.is_sequence() || x.is_string() || x.is(Kind::kDict) || x.is_undefined() || x.is(Kind::kLoop);
  else if (name == "sequence")
    result = x.is(Kind::kList) || x.is(Kind::kTuple) || x.is(Kind::kRange) || x.is_string() || x.is(Kind::kDict) || x.is_undefined();
  else if (name == "callable") result = x.is(Kind::kMacro) || x.is(Kind::kMethod) || x.is(Kind::kFunction);
  else if (name == "odd") result = parity();
  else if (name == "even") result = !parity();
  else if (name == "divisibleby") result = !arithmetic(ExpressionKind::kModulo, x, other()).truthy();
  else if (name == "eq" || name == "equalto") result = equal(x, other());
  else if (name == "ne") result = !equal(x, other());
  else if (name == "lt" || name == "lessthan") result = compare(x, other()) == -1;
  else if (name == "gt" || name == "greaterthan") result = compare(x, other()) == 1;
  else if (name == "le") {
    const int order = compare(x, other());
    result = order == 0 || order == -1;
  }
  else if (name == "ge") {
    const int order = compare(x, other());
    result = order == 0 || order == 1;
  }
  else if (name == "in") result = contains(other(), x);
  else if (name == "sameas") {
    const Value& y = other();
    result = x.shared() ? x.shared() == y.shared() : x.kind() == y.kind() && equal(x, y);
  } else if (name == "lower") result = map_case(to_text(x), Case::kLower).bytes() == to_text(x).bytes();
  else if (name == "upper") result = map_case(to_text(x), Case::kUpper).bytes() == to_text(x).bytes();
  else if (name == "filter") result = x.is_string() && is_filter(x.bytes());
  else result = x.is_string() && is_test(x.bytes());
  in.finish();
  return result;
}

}  // namespace hone::text::jinja
