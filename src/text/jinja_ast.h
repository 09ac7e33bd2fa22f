// The syntax tree of a template. Trees are bounded in depth, so that walking and destroying them needs a bounded stack.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace hone::text::jinja {

struct Expression;
struct Statement;
using ExpressionPtr = std::unique_ptr<Expression>;
using StatementPtr = std::unique_ptr<Statement>;
using Block = std::vector<StatementPtr>;

/// Expressions and statements may nest this deep.
inline constexpr int kMaxSyntaxDepth = 150;

struct Arguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr star, double_star;  // *args, **kwargs
};

enum class ExpressionKind : uint8_t {
  kConstant,       // constant
  kName,           // name
  kTuple, kList,   // operands
  kDict,           // operands: key, value, key, value, …
  kCondition,      // operands: test, then, else (may be null)
  kOr, kAnd,       // operands: left, right
  kNot, kNegative, kPositive,
  kCompare,        // operands: first, second, …; operators between them
  kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower,
  kConcatenate,    // operands: two or more
  kAttribute,      // operands[0].name
  kItem,           // operands[0][operands[1]]
  kSlice,          // operands: begin, end, step (each may be null); only as operands[1] of kItem
  kCall,           // operands[0](arguments)
  kFilter,         // operands[0] | name(arguments); operands[0] null in a filter block
  kTest,           // operands[0] is name(arguments)
  kNamespaceItem,  // name.attribute as the target of set
};

enum class Comparison : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

struct Expression {
  ExpressionKind kind;
  int line;
  int depth = 1;
  std::string name, attribute;
  Value constant;
  std::vector<ExpressionPtr> operands;
  std::vector<Comparison> comparisons;
  std::unique_ptr<Arguments> arguments;
};

enum class StatementKind : uint8_t {
  kText,         // constant
  kOutput,       // value
  kFor,          // target, value, condition, body, otherwise
  kIf,           // branches, otherwise
  kSet,          // target, value
  kSetBlock,     // target, value (a filter chain or null), body
  kWith,         // targets, values, body
  kMacro,        // name, parameters, defaults, body
  kCallBlock,    // value (a call), parameters, defaults, body
  kFilterBlock,  // value (a filter chain), body
  kGeneration,   // body
  kBreak, kContinue,
};

struct Statement {
  StatementKind kind;
  int line;
  std::string name;
  Value constant;
  ExpressionPtr target, value, condition;
  std::vector<ExpressionPtr> targets, values;
  std::vector<std::pair<ExpressionPtr, Block>> branches;
  std::vector<std::string> parameters;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;
  Block body, otherwise;
};

/// A parsed template.
class Program {
 public:
  Block body;
  bool has_generation = false;  // contains {% generation %}
};

/// Parses a template. Throws SyntaxError (jinja_lexer.h).
std::shared_ptr<const Program> parse_program(std::string_view source);

}  // namespace hone::text::jinja
