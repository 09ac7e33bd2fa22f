// Recursive-descent parser of the template language; jinja_parser.cc holds expressions, jinja_statements.cc blocks.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_lexer.h"

namespace hone::text::jinja {

inline std::vector<ExpressionPtr> operands(ExpressionPtr a) {
  std::vector<ExpressionPtr> list;
  list.push_back(std::move(a));
  return list;
}

inline std::vector<ExpressionPtr> operands(ExpressionPtr a, ExpressionPtr b) {
  std::vector<ExpressionPtr> list = operands(std::move(a));
  list.push_back(std::move(b));
  return list;
}

class Parser {
 public:
  explicit Parser(std::vector<LexerToken> tokens) : tokens_(std::move(tokens)) {}

  void parse(Program& program);

 private:
  // ---- tokens
  const LexerToken& current() const { return tokens_[position_]; }
  const LexerToken& next() { return tokens_[position_ + 1 < tokens_.size() ? position_++ : position_]; }
  const LexerToken& peek() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  bool is_operator(std::string_view text) const;
  bool is_name(std::string_view text) const;
  bool skip_operator(std::string_view text);
  bool skip_name(std::string_view text);
  void expect_operator(std::string_view text);
  std::string expect_name();
  void expect_type(TokenType type, std::string_view what);
  [[noreturn]] void error(std::string message) const;
  [[noreturn]] void unexpected(std::string_view wanted) const;

  // Counts how deep the descent is, for the lifetime of the object.
  class Descent {
   public:
    explicit Descent(Parser& parser);
    ~Descent() { --parser_.descent_; }
    Descent(const Descent&) = delete;
    Descent& operator=(const Descent&) = delete;

   private:
    Parser& parser_;
  };

  // ---- expressions, loosest binding first
  ExpressionPtr make(ExpressionKind kind, int line, std::vector<ExpressionPtr> operands = {}) const;
  void set_depth(Expression& node) const;
  ExpressionPtr expression(bool with_condition = true);
  ExpressionPtr or_expression();
  ExpressionPtr and_expression();
  ExpressionPtr not_expression();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filters = true);
  ExpressionPtr primary(bool with_namespace = false);
  ExpressionPtr postfix(ExpressionPtr node);
  ExpressionPtr filters_and_tests(ExpressionPtr node);
  ExpressionPtr filter_chain(ExpressionPtr node, bool starts_inline);
  ExpressionPtr test(ExpressionPtr node);
  ExpressionPtr subscript(ExpressionPtr node);
  ExpressionPtr subscript_part();
  ExpressionPtr call(ExpressionPtr node);
  std::unique_ptr<Arguments> arguments();
  ExpressionPtr list();
  ExpressionPtr dict();
  struct TupleRules {
    bool simplified = false;      // names and literals only
    bool with_condition = true;   // "a if b else c" allowed
    bool parenthesised = false;   // an empty tuple is fine
    bool with_namespace = false;  // ns.attribute allowed
    std::string_view end_name;    // this name ends the tuple
  };
  ExpressionPtr tuple(const TupleRules& rules);
  ExpressionPtr assignment_target(bool with_namespace, std::string_view end_name);
  void check_target(const Expression& node) const;

  // ---- statements
  Block block(std::initializer_list<std::string_view> ends);
  StatementPtr statement();
  StatementPtr for_statement(int line);
  StatementPtr if_statement(int line);
  StatementPtr set_statement(int line);
  StatementPtr with_statement(int line);
  StatementPtr macro_statement(int line);
  StatementPtr call_statement(int line);
  StatementPtr filter_statement(int line);
  StatementPtr loop_control(StatementKind kind, int line);
  void signature(Statement& node);
  void end_block(std::string_view name);

  std::vector<LexerToken> tokens_;
  size_t position_ = 0;
  int descent_ = 0;
  int loops_ = 0;          // for loops around the statement, within the macro
  std::vector<Statement*> macros_;  // macros and call blocks around the statement
  bool has_generation_ = false;
};

}  // namespace hone::text::jinja
