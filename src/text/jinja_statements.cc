// Blocks of the template language: {% for %}, {% if %}, {% set %}, …
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja_parser.h"

namespace hone::text::jinja {
namespace {

StatementPtr make_statement(StatementKind kind, int line) {
  auto node = std::make_unique<Statement>();
  node->kind = kind;
  node->line = line;
  return node;
}

}  // namespace

void Parser::parse(Program& program) {
  program.body = block({});
  program.has_generation = has_generation_;
}

// Statements up to a block whose name is in `ends` (its name is the current token), or to the end of the template.
Block Parser::block(std::initializer_list<std::string_view> ends) {
  const Descent descent(*this);
  const int opened = current().line;
  Block body;
  while (true) {
    const LexerToken& token = current();
    switch (token.type) {
      case TokenType::kData: {
        StatementPtr text = make_statement(StatementKind::kText, token.line);
        text->constant = Value::string(token.text);
        body.push_back(std::move(text));
        next();
        break;
      }
      case TokenType::kVariableBegin: {
        next();
        StatementPtr output = make_statement(StatementKind::kOutput, token.line);
        output->value = tuple({});
        expect_type(TokenType::kVariableEnd, "}}");
        body.push_back(std::move(output));
        break;
      }
      case TokenType::kBlockBegin: {
        next();
        if (current().type == TokenType::kName &&
            std::find(ends.begin(), ends.end(), current().text) != ends.end()) {
          return body;
        }
        body.push_back(statement());
        expect_type(TokenType::kBlockEnd, "%}");
        break;
      }
      case TokenType::kEnd:
        if (ends.size() > 0) {
          throw SyntaxError{opened, fmt::format("this block is not closed: expected {{% {} %}}", *(ends.end() - 1))};
        }
        return body;
      default:
        unexpected("text or a tag");
    }
  }
}

void Parser::end_block(std::string_view name) {
  if (!skip_name(name)) unexpected(fmt::format("'{}'", name));
}

StatementPtr Parser::statement() {
  if (current().type != TokenType::kName) unexpected("the name of a block");
  const LexerToken& token = next();
  const std::string& name = token.text;
  const int line = token.line;
  if (name == "for") return for_statement(line);
  if (name == "if") return if_statement(line);
  if (name == "set") return set_statement(line);
  if (name == "with") return with_statement(line);
  if (name == "macro") return macro_statement(line);
  if (name == "call") return call_statement(line);
  if (name == "filter") return filter_statement(line);
  if (name == "break") return loop_control(StatementKind::kBreak, line);
  if (name == "continue") return loop_control(StatementKind::kContinue, line);
  if (name == "print") {
    StatementPtr node = make_statement(StatementKind::kOutput, line);
    node->value = expression();
    return node;
  }
  if (name == "generation") {
    StatementPtr node = make_statement(StatementKind::kGeneration, line);
    expect_type(TokenType::kBlockEnd, "%}");
    const int loops = std::exchange(loops_, 0);
    node->body = block({"endgeneration"});
    loops_ = loops;
    end_block("endgeneration");
    has_generation_ = true;
    return node;
  }
  static constexpr std::string_view kOther[] = {"block", "extends", "include", "import", "from", "autoescape", "do",
                                                "trans"};
  if (std::find(std::begin(kOther), std::end(kOther), name) != std::end(kOther)) {
    throw SyntaxError{line, fmt::format("{{% {} %}} is not supported in chat templates", name), /*unsupported=*/true};
  }
  if (name.starts_with("end") || name == "else" || name == "elif") {
    throw SyntaxError{line, fmt::format("{{% {} %}} closes nothing", name)};
  }
  throw SyntaxError{line, fmt::format("unknown block {{% {} %}}", name)};
}

StatementPtr Parser::loop_control(StatementKind kind, int line) {
  if (loops_ == 0) {
    throw SyntaxError{line, fmt::format("{{% {} %}} outside a for loop", kind == StatementKind::kBreak ? "break"
                                                                                                      : "continue")};
  }
  return make_statement(kind, line);
}

StatementPtr Parser::for_statement(int line) {
  StatementPtr node = make_statement(StatementKind::kFor, line);
  node->target = assignment_target(/*with_namespace=*/false, "in");
  if (!skip_name("in")) unexpected("'in'");
  TupleRules rules;
  rules.with_condition = false;
  rules.end_name = "recursive";
  node->value = tuple(rules);
  if (skip_name("if")) node->condition = expression();
  if (is_name("recursive")) {
    throw SyntaxError{line, "recursive loops are not supported: use a macro that calls itself", /*unsupported=*/true};
  }
  expect_type(TokenType::kBlockEnd, "%}");
  ++loops_;
  node->body = block({"else", "endfor"});
  --loops_;
  if (skip_name("else")) {
    expect_type(TokenType::kBlockEnd, "%}");
    node->otherwise = block({"endfor"});
  }
  end_block("endfor");
  return node;
}

StatementPtr Parser::if_statement(int line) {
  StatementPtr node = make_statement(StatementKind::kIf, line);
  TupleRules rules;
  rules.with_condition = false;
  do {
    ExpressionPtr test = tuple(rules);
    expect_type(TokenType::kBlockEnd, "%}");
    Block body = block({"elif", "else", "endif"});
    node->branches.emplace_back(std::move(test), std::move(body));
  } while (skip_name("elif"));
  if (skip_name("else")) {
    expect_type(TokenType::kBlockEnd, "%}");
    node->otherwise = block({"endif"});
  }
  end_block("endif");
  return node;
}

StatementPtr Parser::set_statement(int line) {
  StatementPtr node = make_statement(StatementKind::kSet, line);
  node->target = assignment_target(/*with_namespace=*/true, "");
  if (skip_operator("=")) {
    node->value = tuple({});
    return node;
  }
  node->kind = StatementKind::kSetBlock;
  node->value = filter_chain(nullptr, /*starts_inline=*/false);
  expect_type(TokenType::kBlockEnd, "%}");
  node->body = block({"endset"});
  end_block("endset");
  return node;
}

StatementPtr Parser::with_statement(int line) {
  StatementPtr node = make_statement(StatementKind::kWith, line);
  while (current().type != TokenType::kBlockEnd) {
    if (!node->targets.empty()) expect_operator(",");
    node->targets.push_back(assignment_target(/*with_namespace=*/false, ""));
    expect_operator("=");
    node->values.push_back(expression());
  }
  expect_type(TokenType::kBlockEnd, "%}");
  node->body = block({"endwith"});
  end_block("endwith");
  return node;
}

// "(a, b=1)": defaults belong to the last parameters.
void Parser::signature(Statement& node) {
  expect_operator("(");
  while (!is_operator(")")) {
    if (!node.parameters.empty()) expect_operator(",");
    node.parameters.push_back(expect_name());
    if (skip_operator("=")) {
      node.defaults.push_back(expression());
    } else if (!node.defaults.empty()) {
      error("a parameter without default cannot follow one with a default");
    }
  }
  expect_operator(")");
}

StatementPtr Parser::macro_statement(int line) {
  StatementPtr node = make_statement(StatementKind::kMacro, line);
  node->name = expect_name();
  signature(*node);
  expect_type(TokenType::kBlockEnd, "%}");
  const int loops = std::exchange(loops_, 0);
  macros_.push_back(node.get());
  node->body = block({"endmacro"});
  macros_.pop_back();
  loops_ = loops;
  end_block("endmacro");
  return node;
}

StatementPtr Parser::call_statement(int line) {
  StatementPtr node = make_statement(StatementKind::kCallBlock, line);
  node->name = "caller";
  if (is_operator("(")) signature(*node);
  node->value = expression();
  if (node->value->kind != ExpressionKind::kCall) throw SyntaxError{line, "expected a call after {% call"};
  expect_type(TokenType::kBlockEnd, "%}");
  const int loops = std::exchange(loops_, 0);
  macros_.push_back(node.get());
  node->body = block({"endcall"});
  macros_.pop_back();
  loops_ = loops;
  end_block("endcall");
  return node;
}

StatementPtr Parser::filter_statement(int line) {
  StatementPtr node = make_statement(StatementKind::kFilterBlock, line);
  node->value = filter_chain(nullptr, /*starts_inline=*/true);
  expect_type(TokenType::kBlockEnd, "%}");
  node->body = block({"endfilter"});
  end_block("endfilter");
  return node;
}

std::shared_ptr<const Program> parse_program(std::string_view source) {
  auto program = std::make_shared<Program>();
  Parser parser(tokenize(source));
  parser.parse(*program);
  return program;
}

}  // namespace hone::text::jinja
