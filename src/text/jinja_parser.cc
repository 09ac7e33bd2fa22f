#include "text/jinja_parser.h"

#include <fmt/format.h>

#include <algorithm>

namespace hone::text::jinja {

// ---- tokens

bool Parser::is_operator(std::string_view text) const {
  return current().type == TokenType::kOperator && current().text == text;
}

bool Parser::is_name(std::string_view text) const {
  return current().type == TokenType::kName && current().text == text;
}

bool Parser::skip_operator(std::string_view text) {
  if (!is_operator(text)) return false;
  next();
  return true;
}

bool Parser::skip_name(std::string_view text) {
  if (!is_name(text)) return false;
  next();
  return true;
}

void Parser::error(std::string message) const { throw SyntaxError{current().line, std::move(message)}; }

void Parser::unexpected(std::string_view wanted) const {
  const LexerToken& token = current();
  std::string found;
  switch (token.type) {
    case TokenType::kEnd: found = "the end of the template"; break;
    case TokenType::kBlockEnd: found = "%}"; break;
    case TokenType::kVariableEnd: found = "}}"; break;
    case TokenType::kBlockBegin: found = "{%"; break;
    case TokenType::kVariableBegin: found = "{{"; break;
    case TokenType::kData: found = "text"; break;
    case TokenType::kString: found = "a string"; break;
    default: found = fmt::format("'{}'", token.text);
  }
  error(fmt::format("expected {}, found {}", wanted, found));
}

void Parser::expect_operator(std::string_view text) {
  if (!skip_operator(text)) unexpected(fmt::format("'{}'", text));
}

std::string Parser::expect_name() {
  if (current().type != TokenType::kName) unexpected("a name");
  return next().text;
}

void Parser::expect_type(TokenType type, std::string_view what) {
  if (current().type != type) unexpected(what);
  next();
}

Parser::Descent::Descent(Parser& parser) : parser_(parser) {
  if (++parser_.descent_ > kMaxSyntaxDepth) {
    --parser_.descent_;
    parser_.error(fmt::format("the template nests deeper than {} levels", kMaxSyntaxDepth));
  }
}

// ---- nodes

ExpressionPtr Parser::make(ExpressionKind kind, int line, std::vector<ExpressionPtr> operands) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = line;
  node->operands = std::move(operands);
  set_depth(*node);
  return node;
}

// Chains such as a.b.c… or a+b+c… grow without descent, so every node checks its own depth.
void Parser::set_depth(Expression& node) const {
  int below = 0;
  const auto look = [&](const ExpressionPtr& child) {
    if (child) below = std::max(below, child->depth);
  };
  for (const auto& child : node.operands) look(child);
  if (node.arguments) {
    for (const auto& child : node.arguments->positional) look(child);
    for (const auto& [name, child] : node.arguments->named) look(child);
    look(node.arguments->star);
    look(node.arguments->double_star);
  }
  node.depth = below + 1;
  if (node.depth > kMaxSyntaxDepth) {
    throw SyntaxError{node.line, fmt::format("an expression nests deeper than {} levels", kMaxSyntaxDepth)};
  }
}

// ---- expressions

ExpressionPtr Parser::expression(bool with_condition) {
  const Descent descent(*this);
  if (!with_condition) return or_expression();
  int line = current().line;
  ExpressionPtr node = or_expression();
  while (skip_name("if")) {
    std::vector<ExpressionPtr> parts;
    parts.push_back(or_expression());
    parts.push_back(std::move(node));
    parts.push_back(skip_name("else") ? expression() : nullptr);
    node = make(ExpressionKind::kCondition, line, std::move(parts));
    line = current().line;
  }
  return node;
}

ExpressionPtr Parser::or_expression() {
  const int line = current().line;
  ExpressionPtr left = and_expression();
  while (skip_name("or")) left = make(ExpressionKind::kOr, line, operands(std::move(left), and_expression()));
  return left;
}

ExpressionPtr Parser::and_expression() {
  const int line = current().line;
  ExpressionPtr left = not_expression();
  while (skip_name("and")) left = make(ExpressionKind::kAnd, line, operands(std::move(left), not_expression()));
  return left;
}

ExpressionPtr Parser::not_expression() {
  if (!is_name("not")) return comparison();
  const Descent descent(*this);
  const int line = next().line;
  return make(ExpressionKind::kNot, line, operands(not_expression()));
}

ExpressionPtr Parser::comparison() {
  const int line = current().line;
  std::vector<ExpressionPtr> parts = operands(sum());
  std::vector<Comparison> comparisons;
  static constexpr std::pair<std::string_view, Comparison> kOperators[] = {
      {"==", Comparison::kEqual},     {"!=", Comparison::kNotEqual}, {"<", Comparison::kLess},
      {"<=", Comparison::kLessEqual}, {">", Comparison::kGreater},   {">=", Comparison::kGreaterEqual}};
  while (true) {
    const size_t before = comparisons.size();
    for (const auto& [text, comparison] : kOperators) {
      if (skip_operator(text)) {
        comparisons.push_back(comparison);
        break;
      }
    }
    if (comparisons.size() == before) {
      if (skip_name("in")) {
        comparisons.push_back(Comparison::kIn);
      } else if (is_name("not") && peek().type == TokenType::kName && peek().text == "in") {
        next();
        next();
        comparisons.push_back(Comparison::kNotIn);
      } else {
        break;
      }
    }
    parts.push_back(sum());
  }
  if (comparisons.empty()) return std::move(parts.front());
  ExpressionPtr node = make(ExpressionKind::kCompare, line, std::move(parts));
  node->comparisons = std::move(comparisons);
  return node;
}

ExpressionPtr Parser::sum() {
  const int line = current().line;
  ExpressionPtr left = concatenation();
  while (is_operator("+") || is_operator("-")) {
    const auto kind = next().text == "+" ? ExpressionKind::kAdd : ExpressionKind::kSubtract;
    left = make(kind, line, operands(std::move(left), concatenation()));
  }
  return left;
}

ExpressionPtr Parser::concatenation() {
  const int line = current().line;
  std::vector<ExpressionPtr> parts = operands(product());
  while (skip_operator("~")) parts.push_back(product());
  if (parts.size() == 1) return std::move(parts.front());
  return make(ExpressionKind::kConcatenate, line, std::move(parts));
}

ExpressionPtr Parser::product() {
  const int line = current().line;
  ExpressionPtr left = power();
  static constexpr std::pair<std::string_view, ExpressionKind> kOperators[] = {
      {"*", ExpressionKind::kMultiply},
      {"/", ExpressionKind::kDivide},
      {"//", ExpressionKind::kFloorDivide},
      {"%", ExpressionKind::kModulo}};
  for (bool again = true; again;) {
    again = false;
    for (const auto& [text, kind] : kOperators) {
      if (!skip_operator(text)) continue;
      left = make(kind, line, operands(std::move(left), power()));
      again = true;
      break;
    }
  }
  return left;
}

ExpressionPtr Parser::power() {
  const int line = current().line;
  ExpressionPtr left = unary();
  while (skip_operator("**")) left = make(ExpressionKind::kPower, line, operands(std::move(left), unary()));
  return left;
}

ExpressionPtr Parser::unary(bool with_filters) {
  const Descent descent(*this);
  ExpressionPtr node;
  if (is_operator("-") || is_operator("+")) {
    const LexerToken& sign = next();
    const auto kind = sign.text == "-" ? ExpressionKind::kNegative : ExpressionKind::kPositive;
    const int line = sign.line;
    node = make(kind, line, operands(unary(/*with_filters=*/false)));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filters ? filters_and_tests(std::move(node)) : std::move(node);
}

ExpressionPtr Parser::primary(bool with_namespace) {
  const LexerToken& token = current();
  const auto constant = [&](Value value) {
    ExpressionPtr node = make(ExpressionKind::kConstant, token.line);
    node->constant = std::move(value);
    return node;
  };
  switch (token.type) {
    case TokenType::kName: {
      next();
      const std::string& name = token.text;
      if (name == "true" || name == "True") return constant(Value::boolean(true));
      if (name == "false" || name == "False") return constant(Value::boolean(false));
      if (name == "none" || name == "None") return constant(Value::none());
      ExpressionPtr node = make(ExpressionKind::kName, token.line);
      node->name = name;
      if (with_namespace && skip_operator(".")) {
        node->kind = ExpressionKind::kNamespaceItem;
        node->attribute = expect_name();
      }
      for (Statement* macro : macros_) {
        macro->uses_caller |= name == "caller";
        macro->uses_kwargs |= name == "kwargs";
        macro->uses_varargs |= name == "varargs";
      }
      return node;
    }
    case TokenType::kString: {
      std::string text;
      while (current().type == TokenType::kString) text += next().text;
      return constant(Value::string(std::move(text)));
    }
    case TokenType::kInteger:
      next();
      return constant(Value::integer(token.integer));
    case TokenType::kFloat:
      next();
      return constant(Value::real(token.real));
    case TokenType::kOperator:
      if (token.text == "(") {
        next();
        TupleRules rules;
        rules.parenthesised = true;
        ExpressionPtr node = tuple(rules);
        expect_operator(")");
        return node;
      }
      if (token.text == "[") return list();
      if (token.text == "{") return dict();
      break;
    default:
      break;
  }
  unexpected("an expression");
}

ExpressionPtr Parser::tuple(const TupleRules& rules) {
  const int line = current().line;
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) expect_operator(",");
    const TokenType type = current().type;
    if (type == TokenType::kVariableEnd || type == TokenType::kBlockEnd || is_operator(")") ||
        (!rules.end_name.empty() && is_name(rules.end_name))) {
      break;
    }
    items.push_back(rules.simplified ? primary(rules.with_namespace) : expression(rules.with_condition));
    if (!is_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) return std::move(items.front());
    if (!rules.parenthesised) unexpected("an expression");
  }
  return make(ExpressionKind::kTuple, line, std::move(items));
}

ExpressionPtr Parser::list() {
  const int line = next().line;
  std::vector<ExpressionPtr> items;
  while (!is_operator("]")) {
    if (!items.empty()) expect_operator(",");
    if (is_operator("]")) break;
    items.push_back(expression());
  }
  expect_operator("]");
  return make(ExpressionKind::kList, line, std::move(items));
}

ExpressionPtr Parser::dict() {
  const int line = next().line;
  std::vector<ExpressionPtr> items;
  while (!is_operator("}")) {
    if (!items.empty()) expect_operator(",");
    if (is_operator("}")) break;
    items.push_back(expression());
    expect_operator(":");
    items.push_back(expression());
  }
  expect_operator("}");
  return make(ExpressionKind::kDict, line, std::move(items));
}

// ---- assignment targets

void Parser::check_target(const Expression& node) const {
  if (node.kind == ExpressionKind::kTuple || node.kind == ExpressionKind::kList) {
    for (const auto& item : node.operands) check_target(*item);
    return;
  }
  if (node.kind == ExpressionKind::kNamespaceItem) return;
  if (node.kind != ExpressionKind::kName) error("expected a name to assign to");
  if (node.name == "loop") error("'loop' cannot be assigned to");
}

ExpressionPtr Parser::assignment_target(bool with_namespace, std::string_view end_name) {
  TupleRules rules;
  rules.simplified = true;
  rules.with_namespace = with_namespace;
  rules.end_name = end_name;
  ExpressionPtr target = tuple(rules);
  check_target(*target);
  return target;
}

}  // namespace hone::text::jinja
