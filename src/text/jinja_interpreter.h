// Walks a parsed template and writes its output. jinja_interpreter.cc holds statements, jinja_expressions.cc expressions,
// jinja_filters.cc and jinja_tests.cc what follows | and is, jinja_methods.cc methods and global functions.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_ast.h"

namespace hone::text::jinja {

/// Names of one block, and the block around it.
struct Scope {
  std::shared_ptr<Scope> outer;
  std::map<std::string, Value, std::less<>> names;
};

struct MacroObject : Object {
  const Statement* node = nullptr;
  std::shared_ptr<Scope> scope;  // where it was defined
};

/// Evaluated arguments of a call.
struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// Hands out arguments by position or name; finish() refuses what nobody asked for.
class ArgumentReader {
 public:
  ArgumentReader(const CallArguments& arguments, std::string what) : arguments_(arguments), what_(std::move(what)) {}
  /// The next parameter, called `name`; nullptr when the call leaves it out.
  const Value* take(std::string_view name);
  const Value& require(std::string_view name);
  int64_t take_int(std::string_view name, int64_t otherwise);
  bool take_bool(std::string_view name, bool otherwise);
  void finish() const;
  const std::string& what() const { return what_; }

 private:
  const CallArguments& arguments_;
  std::string what_;
  size_t position_ = 0, named_used_ = 0;
};

class Interpreter {
 public:
  /// `date` is what strftime_now sees (RenderOptions::date).
  Interpreter(const Program& program, std::vector<std::pair<std::string, Value>> variables, std::string date);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  /// Runs the template; throws Failure, with line() telling where.
  Text run();
  /// [begin, end) bytes of the output inside {% generation %} blocks.
  const std::vector<std::pair<size_t, size_t>>& generations() const { return generations_; }
  int line() const { return line_; }

 private:
  enum class Flow { kNext, kBreak, kContinue };

  // ---- statements
  Flow execute(const Block& block);
  Flow execute(const Statement& node);
  Flow execute_for(const Statement& node);
  void assign(const Expression& target, const Value& value);
  Text capture(const Block& body);
  void write(const Value& value);
  std::shared_ptr<Scope> new_scope(std::shared_ptr<Scope> outer);
  Value call_macro(const Value& macro, const CallArguments& arguments, const Value* caller);

  // ---- expressions
  Value evaluate(const Expression& node);
  Value evaluate_node(const Expression& node);
  Value lookup(std::string_view name) const;
  Value attribute(const Value& object, const std::string& name);
  Value item(const Value& object, const Value& key);
  Value slice(const Value& object, const Expression& node);
  bool compare_chain(const Expression& node);
  CallArguments evaluate(const Arguments& arguments);
  Value call(const Value& callee, const CallArguments& arguments, const Value* caller = nullptr);
  Value evaluate_filter(const Expression& node, const Value* input);

  // ---- filters, tests, methods
  Value apply_filter(std::string_view name, const Value& input, const CallArguments& arguments);
  bool apply_test(std::string_view name, const Value& input, const CallArguments& arguments);
  Value map_filter(const Value& input, const CallArguments& arguments);
  Value select_filter(const Value& input, const CallArguments& arguments, bool by_attribute, bool keep);
  Value by_path(const Value& item, const Value& path);
  Value call_method(const MethodObject& method, const CallArguments& arguments);
  Value call_function(int id, const CallArguments& arguments);
  Value loop_attribute(const Value& loop, const std::string& name);

  const Program& program_;
  std::string date_;
  std::shared_ptr<Scope> scope_;
  std::vector<std::weak_ptr<Scope>> scopes_;  // a macro and its scope hold each other: emptied at the end
  std::vector<std::shared_ptr<NamespaceObject>> namespaces_;
  Text* out_ = nullptr;
  int captures_ = 0, depth_ = 0, loop_depth_ = 0, line_ = 1;
  std::vector<std::pair<size_t, size_t>> generations_;
};

/// The items a for loop or a filter walks over; throws for what cannot be walked.
std::vector<Value> iterate(const Value& value);
/// Whether `needle in haystack`.
bool contains(const Value& haystack, const Value& needle);
/// The number behind len(x); throws when it has none.
int64_t length(const Value& value);
/// a + b, a - b, … of the arithmetic kinds.
Value arithmetic(ExpressionKind kind, const Value& a, const Value& b);
/// Whether objects of this kind have a method of that name.
bool has_method(const Value& object, std::string_view name);
/// The number of a global function, or nullopt.
std::optional<int> global_function(std::string_view name);
bool is_filter(std::string_view name);
bool is_test(std::string_view name);

}  // namespace hone::text::jinja
