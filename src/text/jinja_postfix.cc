// What follows a primary expression: attributes, subscripts, calls, filters, tests.
#include <algorithm>

#include "text/jinja_parser.h"

namespace hone::text::jinja {

ExpressionPtr Parser::postfix(ExpressionPtr node) {
  while (true) {
    if (is_operator(".") || is_operator("[")) {
      node = subscript(std::move(node));
    } else if (is_operator("(")) {
      node = call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr Parser::filters_and_tests(ExpressionPtr node) {
  while (true) {
    if (is_operator("|")) {
      node = filter_chain(std::move(node), /*starts_inline=*/false);
    } else if (is_name("is")) {
      node = test(std::move(node));
    } else if (is_operator("(")) {
      node = call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr Parser::subscript(ExpressionPtr node) {
  const LexerToken& opener = next();
  const int line = opener.line;
  if (opener.text == ".") {
    const LexerToken& key = next();
    if (key.type == TokenType::kName) {
      ExpressionPtr attribute = make(ExpressionKind::kAttribute, line, operands(std::move(node)));
      attribute->name = key.text;
      return attribute;
    }
    if (key.type != TokenType::kInteger) error("expected a name or a number after '.'");
    ExpressionPtr index = make(ExpressionKind::kConstant, key.line);
    index->constant = Value::integer(key.integer);
    return make(ExpressionKind::kItem, line, operands(std::move(node), std::move(index)));
  }
  std::vector<ExpressionPtr> parts;
  while (!is_operator("]")) {
    if (!parts.empty()) expect_operator(",");
    parts.push_back(subscript_part());
  }
  expect_operator("]");
  if (parts.empty()) error("expected an index between [ and ]");
  ExpressionPtr index = parts.size() == 1 ? std::move(parts.front())
                                          : make(ExpressionKind::kTuple, line, std::move(parts));
  return make(ExpressionKind::kItem, line, operands(std::move(node), std::move(index)));
}

ExpressionPtr Parser::subscript_part() {
  const int line = current().line;
  std::vector<ExpressionPtr> bounds(3);
  if (!is_operator(":")) {
    bounds[0] = expression();
    if (!is_operator(":")) return std::move(bounds[0]);
  }
  for (size_t i = 1; i < 3 && skip_operator(":"); ++i) {
    if (!is_operator(":") && !is_operator("]") && !is_operator(",")) bounds[i] = expression();
  }
  return make(ExpressionKind::kSlice, line, std::move(bounds));
}

ExpressionPtr Parser::call(ExpressionPtr node) {
  const int line = current().line;
  ExpressionPtr result = make(ExpressionKind::kCall, line, operands(std::move(node)));
  result->arguments = arguments();
  set_depth(*result);
  return result;
}

std::unique_ptr<Arguments> Parser::arguments() {
  auto result = std::make_unique<Arguments>();
  expect_operator("(");
  bool first = true;
  while (!is_operator(")")) {
    if (!first) {
      expect_operator(",");
      if (is_operator(")")) break;
    }
    first = false;
    if (skip_operator("*")) {
      if (result->star || result->double_star) error("a call takes one *arguments, before **arguments");
      result->star = expression();
    } else if (skip_operator("**")) {
      if (result->double_star) error("a call takes one **arguments");
      result->double_star = expression();
    } else if (current().type == TokenType::kName && peek().type == TokenType::kOperator && peek().text == "=") {
      if (result->double_star) error("a named argument cannot follow **arguments");
      std::string name = next().text;
      next();
      result->named.emplace_back(std::move(name), expression());
    } else {
      if (result->star || result->double_star || !result->named.empty()) {
        error("a positional argument cannot follow named ones");
      }
      result->positional.push_back(expression());
    }
  }
  expect_operator(")");
  return result;
}

ExpressionPtr Parser::filter_chain(ExpressionPtr node, bool starts_inline) {
  while (starts_inline || is_operator("|")) {
    if (!starts_inline) next();
    starts_inline = false;
    const int line = current().line;
    std::string name = expect_name();
    while (skip_operator(".")) name += "." + expect_name();
    ExpressionPtr filter = make(ExpressionKind::kFilter, line, operands(std::move(node)));
    filter->name = std::move(name);
    if (is_operator("(")) {
      filter->arguments = arguments();
    } else {
      filter->arguments = std::make_unique<Arguments>();
    }
    set_depth(*filter);
    node = std::move(filter);
  }
  return node;
}

ExpressionPtr Parser::test(ExpressionPtr node) {
  const int line = next().line;
  const bool negated = skip_name("not");
  ExpressionPtr result = make(ExpressionKind::kTest, line, operands(std::move(node)));
  result->name = expect_name();
  while (skip_operator(".")) result->name += "." + expect_name();
  result->arguments = std::make_unique<Arguments>();
  const TokenType type = current().type;
  const bool opens = is_operator("[") || is_operator("{");
  if (is_operator("(")) {
    result->arguments = arguments();
  } else if ((type == TokenType::kName && !is_name("else") && !is_name("or") && !is_name("and")) ||
             type == TokenType::kString || type == TokenType::kInteger || type == TokenType::kFloat || opens) {
    if (is_name("is")) error("tests cannot be chained with 'is'");
    result->arguments->positional.push_back(postfix(primary()));
  }
  set_depth(*result);
  return negated ? make(ExpressionKind::kNot, line, operands(std::move(result))) : std::move(result);
}

}  // namespace hone::text::jinja
