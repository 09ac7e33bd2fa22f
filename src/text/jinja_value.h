// Values of the template language: Python's str, int, float, bool, None, list, tuple, dict, and Jinja's Undefined,
// namespace, macro and loop objects. Containers are shared by reference, as in Python.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/jinja_meter.h"
#include "text/jinja_text.h"

namespace hone::text::jinja {

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kRange,      // range(…): a sequence that cannot be changed
  kView,       // dict.keys(), values(), items(): has a length, no index
  kGenerator,  // what map, select, … give: can be walked once, has no length
  kDict,
  kNamespace,
  kLoop,
  kMacro,
  kMethod,    // a method bound to its object
  kFunction,  // a global function
};

/// Containers may nest this deep, so that printing, comparing and destroying them needs a bounded stack.
inline constexpr int kMaxNesting = 128;

/// Heap part of a value.
struct Object {
  virtual ~Object() = default;
  int nesting = 0;  // containers below this one, itself included
};

class Value {
 public:
  Value() = default;  // Undefined without a name
  static Value undefined(std::string name);
  static Value none();
  static Value boolean(bool value);
  static Value integer(int64_t value, Source source = kTemplate);
  static Value real(double value, Source source = kTemplate);
  static Value string(Text text);
  static Value string(std::string bytes) { return string(Text(std::move(bytes))); }
  /// Throws when the containers nest deeper than kMaxNesting.
  static Value sequence(Kind kind, std::vector<Value> items);
  static Value list(std::vector<Value> items) { return sequence(Kind::kList, std::move(items)); }
  static Value tuple(std::vector<Value> items) { return sequence(Kind::kTuple, std::move(items)); }
  static Value object(Kind kind, std::shared_ptr<Object> object);
  static Value function(int id);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_number() const { return kind_ == Kind::kInt || kind_ == Kind::kFloat || kind_ == Kind::kBool; }
  bool is_integral() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  bool is_sequence() const { return kind_ >= Kind::kList && kind_ <= Kind::kGenerator; }
  bool is_container() const { return is_sequence() || kind_ == Kind::kDict; }

  bool as_bool() const { return integer_ != 0; }
  int64_t as_int() const { return integer_; }
  double as_float() const { return kind_ == Kind::kFloat ? real_ : static_cast<double>(integer_); }
  const Text& text() const;
  const std::string& bytes() const { return text().bytes(); }
  const std::string& undefined_name() const;
  std::vector<Value>& items() const;
  template <class T>
  T& as() const {
    return static_cast<T&>(*object_);
  }
  const std::shared_ptr<Object>& shared() const { return object_; }

  /// Who wrote a number, a bool, None or a container; strings carry it byte by byte.
  Source source() const { return source_; }
  Value from(Source source) const;

  /// bool(x): never throws.
  bool truthy() const;

 private:
  Kind kind_ = Kind::kUndefined;
  Source source_ = kTemplate;
  union {
    int64_t integer_ = 0;
    double real_;
  };
  std::shared_ptr<Object> object_;
};

struct StringObject : Object {
  Text text;
};

struct SequenceObject : Object {
  std::vector<Value> items;
};

/// Keeps insertion order; a hash index from a key's canonical form makes look-ups constant.
struct DictObject : Object {
  std::vector<std::pair<Value, Value>> entries;
  std::unordered_map<std::string, size_t> index;

  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  /// Throws for a key that cannot be hashed and when nesting passes kMaxNesting.
  void set(const Value& key, Value value);
  bool erase(const Value& key);
};

struct NamespaceObject : Object {
  std::vector<std::pair<std::string, Value>> members;

  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);
};

struct LoopObject : Object {
  std::vector<Value> items;
  size_t index0 = 0;
  int depth = 1;
  bool has_changed_value = false;
  Value changed_value;  // what loop.changed saw last
};

struct MethodObject : Object {
  Value self;
  std::string name;
};

/// "'content' is undefined", for operations that refuse Undefined.
[[noreturn]] void fail_undefined(const Value& value);

/// Python's name of the type: "str", "int", "NoneType", …
std::string_view type_name(const Value& value);

/// a == b and the ordering a < b (−1, 0, 1) with Python's rules; ordering throws for types that have none.
bool equal(const Value& a, const Value& b);
int compare(const Value& a, const Value& b);

/// str(x) and repr(x).
Text to_text(const Value& value);
Text repr(const Value& value);
std::string float_repr(double value);

struct JsonStyle {
  bool ensure_ascii = false;
  int indent = -1;  // < 0: on one line
  std::string indent_text;
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false;
};
/// json.dumps(x, …); throws for values JSON cannot hold.
Text to_json(const Value& value, const JsonStyle& style);

/// JSON to value; every string, number and container below gets `source`. Throws when it nests too deep.
Value from_json(const nlohmann::ordered_json& json, Source source);

}  // namespace hone::text::jinja
