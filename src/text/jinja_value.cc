#include "text/jinja_value.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace hone::text::jinja {

void fail_undefined(const Value& value) {
  const std::string& name = value.undefined_name();
  fail(name.empty() ? "a value is undefined" : name + " is undefined");
}

namespace {

int nesting_of(const Value& value) {
  switch (value.kind()) {
    case Kind::kNamespace:
    case Kind::kMacro:
      return 0;  // the interpreter empties these one by one
    default:
      return value.shared() ? value.shared()->nesting : 0;
  }
}

void raise_nesting(Object& object, const Value& child) {
  object.nesting = std::max(object.nesting, nesting_of(child) + 1);
  if (object.nesting > kMaxNesting) fail(fmt::format("lists and dictionaries nest deeper than {} levels", kMaxNesting));
}

const std::string kEmpty;

}  // namespace

Value Value::undefined(std::string name) {
  Value value;
  if (!name.empty()) {
    auto object = std::make_shared<StringObject>();
    object->text = Text(std::move(name));
    value.object_ = std::move(object);
  }
  return value;
}

Value Value::none() {
  Value value;
  value.kind_ = Kind::kNone;
  return value;
}

Value Value::boolean(bool b) {
  Value value;
  value.kind_ = Kind::kBool;
  value.integer_ = b;
  return value;
}

Value Value::integer(int64_t i, Source source) {
  Value value;
  value.kind_ = Kind::kInt;
  value.integer_ = i;
  value.source_ = source;
  return value;
}

Value Value::real(double d, Source source) {
  Value value;
  value.kind_ = Kind::kFloat;
  value.real_ = d;
  value.source_ = source;
  return value;
}

Value Value::string(Text text) {
  charge_text(text.size());
  auto object = std::make_shared<StringObject>();
  object->text = std::move(text);
  return Value::object(Kind::kString, std::move(object));
}

Value Value::sequence(Kind kind, std::vector<Value> items) {
  charge(1 + items.size() / 2);
  auto object = std::make_shared<SequenceObject>();
  object->nesting = 1;
  for (const Value& item : items) raise_nesting(*object, item);
  object->items = std::move(items);
  return Value::object(kind, std::move(object));
}

Value Value::object(Kind kind, std::shared_ptr<Object> object) {
  Value value;
  value.kind_ = kind;
  value.object_ = std::move(object);
  return value;
}

Value Value::function(int id) {
  Value value;
  value.kind_ = Kind::kFunction;
  value.integer_ = id;
  return value;
}

Value Value::from(Source source) const {
  Value value = *this;
  value.source_ = source;
  return value;
}

const Text& Value::text() const { return as<StringObject>().text; }

const std::string& Value::undefined_name() const { return object_ ? text().bytes() : kEmpty; }

std::vector<Value>& Value::items() const { return as<SequenceObject>().items; }

bool Value::truthy() const {
  switch (kind_) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return integer_ != 0;
    case Kind::kFloat:
      return real_ != 0;
    case Kind::kString:
      return !bytes().empty();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      return !items().empty();
    case Kind::kDict:
      return !as<DictObject>().entries.empty();
    case Kind::kLoop:
      return !as<LoopObject>().items.empty();
    default:
      return true;
  }
}

// ---- dictionaries

namespace {

// 1, 1.0 and True are one key in Python, so they share one canonical form.
void append_key(std::string& out, const Value& key) {
  switch (key.kind()) {
    case Kind::kString:
      out += 's';
      out += std::to_string(key.bytes().size());
      out += ':';
      out += key.bytes();
      return;
    case Kind::kNone:
      out += 'n';
      return;
    case Kind::kUndefined:
      out += 'u';
      return;
    case Kind::kBool:
    case Kind::kInt:
      out += 'i' + std::to_string(key.as_int());
      return;
    case Kind::kFloat:
      if (key.as_float() == std::floor(key.as_float()) && std::abs(key.as_float()) < 9e18) {
        out += 'i' + std::to_string(static_cast<int64_t>(key.as_float()));
      } else {
        out += 'f' + float_repr(key.as_float());
      }
      return;
    case Kind::kTuple:
      out += '(';
      for (const Value& item : key.items()) append_key(out, item);
      out += ')';
      return;
    default:
      fail(fmt::format("a {} cannot be the key of a dictionary", type_name(key)));
  }
}

std::string canonical_key(const Value& key) {
  std::string out;
  append_key(out, key);
  return out;
}

}  // namespace

const Value* DictObject::find(const Value& key) const {
  const auto found = index.find(canonical_key(key));
  return found == index.end() ? nullptr : &entries[found->second].second;
}

const Value* DictObject::find(std::string_view key) const {
  // Most dictionaries of a conversation have a handful of keys; comparing beats building the canonical form.
  if (entries.size() <= 8) {
    for (const auto& [name, value] : entries) {
      if (name.is_string() && name.bytes() == key) return &value;
    }
    return nullptr;
  }
  const auto found = index.find(fmt::format("s{}:{}", key.size(), key));
  return found == index.end() ? nullptr : &entries[found->second].second;
}

void DictObject::set(const Value& key, Value value) {
  raise_nesting(*this, key);
  raise_nesting(*this, value);
  const auto [at, added] = index.try_emplace(canonical_key(key), entries.size());
  if (added) {
    entries.emplace_back(key, std::move(value));
  } else {
    entries[at->second].second = std::move(value);
  }
}

bool DictObject::erase(const Value& key) {
  const auto found = index.find(canonical_key(key));
  if (found == index.end()) return false;
  entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(found->second));
  index.clear();
  for (size_t i = 0; i < entries.size(); ++i) index.emplace(canonical_key(entries[i].first), i);
  return true;
}

const Value* NamespaceObject::find(std::string_view name) const {
  for (const auto& [key, value] : members) {
    if (key == name) return &value;
  }
  return nullptr;
}

void NamespaceObject::set(std::string_view name, Value value) {
  for (auto& [key, old] : members) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  members.emplace_back(std::string(name), std::move(value));
}

// ---- comparisons

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined: return "Undefined";
    case Kind::kNone: return "NoneType";
    case Kind::kBool: return "bool";
    case Kind::kInt: return "int";
    case Kind::kFloat: return "float";
    case Kind::kString: return "str";
    case Kind::kList: return "list";
    case Kind::kTuple: return "tuple";
    case Kind::kRange: return "range";
    case Kind::kView: return "dict view";
    case Kind::kGenerator: return "generator";
    case Kind::kDict: return "dict";
    case Kind::kNamespace: return "namespace";
    case Kind::kLoop: return "loop";
    case Kind::kMacro: return "macro";
    case Kind::kMethod: return "method";
    case Kind::kFunction: return "function";
  }
  return "value";
}

namespace {

// −1, 0, 1 without rounding large integers to double; 2 when either is NaN.
int compare_numbers(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return a.as_int() < b.as_int() ? -1 : a.as_int() > b.as_int();
  const double x = a.as_float(), y = b.as_float();
  if (std::isnan(x) || std::isnan(y)) return 2;
  return x < y ? -1 : x > y;
}

bool equal_at(const Value& a, const Value& b, int depth) {
  if (depth > kMaxNesting) fail("a comparison nests too deep");
  charge(1);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.bytes() == b.bytes();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: {
      if (a.shared() == b.shared()) return true;
      if (a.items().size() != b.items().size()) return false;
      for (size_t i = 0; i < a.items().size(); ++i) {
        if (!equal_at(a.items()[i], b.items()[i], depth + 1)) return false;
      }
      return true;
    }
    case Kind::kDict: {
      if (a.shared() == b.shared()) return true;
      const auto &x = a.as<DictObject>(), &y = b.as<DictObject>();
      if (x.entries.size() != y.entries.size()) return false;
      for (const auto& [key, value] : x.entries) {
        const Value* other = y.find(key);
        if (!other || !equal_at(value, *other, depth + 1)) return false;
      }
      return true;
    }
    case Kind::kFunction:
      return a.as_int() == b.as_int();
    default:
      return a.shared() == b.shared();
  }
}

int compare_at(const Value& a, const Value& b, int depth) {
  if (depth > kMaxNesting) fail("a comparison nests too deep");
  charge(1);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.is_string() && b.is_string()) {
    const int order = a.bytes().compare(b.bytes());  // UTF-8 order is code point order
    return order < 0 ? -1 : order > 0;
  }
  if (a.kind() == b.kind() && (a.is(Kind::kList) || a.is(Kind::kTuple))) {
    const auto &x = a.items(), &y = b.items();
    for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!equal(x[i], y[i])) return compare_at(x[i], y[i], depth + 1);
    }
    return x.size() < y.size() ? -1 : x.size() > y.size();
  }
  if (a.is_undefined()) fail_undefined(a);
  if (b.is_undefined()) fail_undefined(b);
  fail(fmt::format("{} and {} have no order", type_name(a), type_name(b)));
}

}  // namespace

bool equal(const Value& a, const Value& b) { return equal_at(a, b, 0); }
int compare(const Value& a, const Value& b) { return compare_at(a, b, 0); }

}  // namespace hone::text::jinja
