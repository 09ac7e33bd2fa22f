// Methods of strings, dictionaries and lists, attributes of loop, and global functions. What would change a value is refused,
// as in the immutable sandbox that transformers runs templates in.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <functional>

#include "text/jinja_interpreter.h"

namespace hone::text::jinja {
namespace {

constexpr std::array kStringMethods = {
    std::string_view("capitalize"), std::string_view("count"),       std::string_view("endswith"),
    std::string_view("find"),       std::string_view("index"),       std::string_view("isalnum"),
    std::string_view("isalpha"),    std::string_view("isdigit"),     std::string_view("isspace"),
    std::string_view("join"),       std::string_view("lower"),       std::string_view("lstrip"),
    std::string_view("removeprefix"), std::string_view("removesuffix"), std::string_view("replace"),
    std::string_view("rfind"),      std::string_view("rsplit"),      std::string_view("rstrip"),
    std::string_view("split"),      std::string_view("splitlines"),  std::string_view("startswith"),
    std::string_view("strip"),      std::string_view("swapcase"),    std::string_view("title"),
    std::string_view("upper")};
constexpr std::array kDictMethods = {std::string_view("copy"), std::string_view("get"),    std::string_view("items"),
                                     std::string_view("keys"), std::string_view("values"), std::string_view("pop"),
                                     std::string_view("update"), std::string_view("setdefault"), std::string_view("clear"),
                                     std::string_view("popitem")};
constexpr std::array kListMethods = {std::string_view("index"),  std::string_view("count"), std::string_view("append"),
                                     std::string_view("extend"), std::string_view("insert"), std::string_view("pop"),
                                     std::string_view("remove"), std::string_view("reverse"), std::string_view("sort"),
                                     std::string_view("clear")};
constexpr std::array kFunctions = {std::string_view("range"), std::string_view("dict"), std::string_view("namespace"),
                                   std::string_view("raise_exception"), std::string_view("strftime_now")};
enum FunctionId { kRangeFunction, kDictFunction, kNamespaceFunction, kRaise, kStrftimeNow };

template <size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

const Text& string_argument(const Value& value, const std::string& what) {
  if (value.is_undefined()) fail_undefined(value);
  if (!value.is_string()) fail(fmt::format("{} needs a string, not {}", what, type_name(value)));
  return value.text();
}

std::vector<Value> as_values(std::vector<Text> texts) {
  std::vector<Value> values;
  for (Text& text : texts) values.push_back(Value::string(std::move(text)));
  return values;
}

// A string or a tuple of strings, as startswith and endswith take them.
bool any_of(const Value& candidates, const std::string& what, const std::function<bool(const std::string&)>& test) {
  if (!candidates.is(Kind::kTuple)) return test(string_argument(candidates, what).bytes());
  for (const Value& candidate : candidates.items())
    if (test(string_argument(candidate, what).bytes())) return true;
  return false;
}

// True when the text is not empty and `test` holds for each of its characters.
bool all_characters(const std::string& bytes, const std::function<bool(char32_t)>& test) {
  for (size_t i = 0; i < bytes.size();) {
    const CodePoint point = code_point_at(bytes, i);
    if (!test(point.value)) return false;
    i += point.length;
  }
  return !bytes.empty();
}

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_letter(char32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80; }
// ASCII only; beyond it the answer would need a table that no chat template has asked for.
bool ascii_class(char32_t c, bool (*test)(char32_t), const std::string& what) {
  if (c >= 0x80) fail_unsupported(what + " of characters beyond ASCII");
  return test(c);
}

Value string_method(const Value& self, const std::string& name, ArgumentReader& in) {
  const Text& text = self.text();
  const std::string& bytes = text.bytes();
  charge(1 + bytes.size() / 32);
  const std::string what = in.what();
  const auto optional_text = [&](std::string_view key) -> const std::string* {
    const Value* value = in.take(key);
    return value && !value->is_none() ? &string_argument(*value, what).bytes() : nullptr;
  };
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    const Side side = name == "strip" ? Side::kBoth : name == "lstrip" ? Side::kLeft : Side::kRight;
    return Value::string(strip(text, side, optional_text("chars")));
  }
  if (name == "split" || name == "rsplit") {
    const std::string* separator = optional_text("sep");
    if (separator && separator->empty()) fail(what + " needs a separator that is not empty");
    const int64_t limit = in.take_int("maxsplit", -1);
    return Value::list(as_values(name == "split" ? split(text, separator, limit) : rsplit(text, separator, limit)));
  }
  if (name == "splitlines") return Value::list(as_values(split_lines(text, in.take_bool("keepends", false))));
  if (name == "replace") {
    const Text& from = string_argument(in.require("old"), what);
    const Text& to = string_argument(in.require("new"), what);
    return Value::string(replace(text, from, to, in.take_int("count", -1)));
  }
  if (name == "startswith" || name == "endswith") {
    const bool start = name == "startswith";
    return Value::boolean(any_of(in.require("prefix"), what, [&](const std::string& part) {
      return start ? bytes.starts_with(part) : bytes.ends_with(part);
    }));
  }
  if (name == "removeprefix" || name == "removesuffix") {
    const std::string& part = string_argument(in.require("part"), what).bytes();
    if (name == "removeprefix") return Value::string(text.slice(bytes.starts_with(part) ? part.size() : 0, bytes.size()));
    return Value::string(text.slice(0, bytes.size() - (bytes.ends_with(part) ? part.size() : 0)));
  }
  if (name == "find" || name == "rfind" || name == "index" || name == "count") {
    const std::string& part = string_argument(in.require("sub"), what).bytes();
    if (name == "count") {
      if (part.empty()) return Value::integer(length(self) + 1);
      int64_t count = 0;
      for (size_t at = 0; (at = find_bytes(bytes, part, at)) != std::string::npos; at += part.size()) ++count;
      return Value::integer(count);
    }
    const size_t at = name == "rfind" ? bytes.rfind(part) : find_bytes(bytes, part);
    if (at == std::string::npos && name == "index") fail("substring not found");
    return Value::integer(at == std::string::npos ? -1 : static_cast<int64_t>(code_points(std::string_view(bytes).substr(0, at))));
  }
  if (name == "join") {
    Text joined;
    bool first = true;
    for (const Value& item : iterate(in.require("iterable"))) {
      if (!first) joined.append(text);
      first = false;
      joined.append(string_argument(item, what));
    }
    return Value::string(std::move(joined));
  }
  if (name == "upper") return Value::string(map_case(text, Case::kUpper));
  if (name == "lower") return Value::string(map_case(text, Case::kLower));
  if (name == "title") return Value::string(map_case(text, Case::kTitle));
  if (name == "capitalize") return Value::string(map_case(text, Case::kCapitalize));
  if (name == "swapcase") return Value::string(map_case(text, Case::kSwap));
  if (name == "isspace") return Value::boolean(all_characters(bytes, is_space));
  if (name == "isdigit") return Value::boolean(all_characters(bytes, [&](char32_t c) { return ascii_class(c, is_digit, what); }));
  if (name == "isalpha") return Value::boolean(all_characters(bytes, [&](char32_t c) { return ascii_class(c, is_letter, what); }));
  return Value::boolean(all_characters(bytes, [&](char32_t c) {
    return ascii_class(c, [](char32_t x) { return is_digit(x) || is_letter(x); }, what);
  }));
}

Value dict_method(const Value& self, const std::string& name, ArgumentReader& in) {
  const auto& dict = self.as<DictObject>();
  if (name == "get") {
    const Value& key = in.require("key");
    const Value* otherwise = in.take("default");
    if (const Value* found = dict.find(key)) return *found;
    return otherwise ? *otherwise : Value::none();
  }
  if (name == "copy") {
    auto copy = std::make_shared<DictObject>(dict);
    return Value::object(Kind::kDict, std::move(copy)).from(self.source());
  }
  if (name != "items" && name != "keys" && name != "values") fail(in.what() + " would change a dict: the sandbox forbids it");
  std::vector<Value> items;
  for (const auto& [key, value] : dict.entries)
    items.push_back(name == "items" ? Value::tuple({key, value}) : name == "keys" ? key : value);
  return Value::sequence(Kind::kView, std::move(items));
}

Value list_method(const Value& self, const std::string& name, ArgumentReader& in) {
  if (name != "index" && name != "count") fail(in.what() + " would change a list: the sandbox forbids it");
  const Value& wanted = in.require("value");
  int64_t count = 0;
  for (size_t i = 0; i < self.items().size(); ++i) {
    if (!equal(self.items()[i], wanted)) continue;
    if (name == "index") return Value::integer(static_cast<int64_t>(i));
    ++count;
  }
  if (name == "index") fail("the value is not in the list");
  return Value::integer(count);
}

std::tm time_of(const std::string& date) {
  std::tm time{};
  if (date.empty()) {
    const std::time_t now = std::time(nullptr);
    localtime_r(&now, &time);
    return time;
  }
  const char* rest = strptime(date.c_str(), "%Y-%m-%d", &time);
  if (rest && *rest == 'T') rest = strptime(rest + 1, "%H:%M:%S", &time);
  if (!rest || *rest != '\0') fail(fmt::format("the date \"{}\" is not of the form YYYY-MM-DD", date));
  return time;
}

}  // namespace

bool has_method(const Value& object, std::string_view name) {
  switch (object.kind()) {
    case Kind::kString: return among(kStringMethods, name);
    case Kind::kDict: return among(kDictMethods, name);
    case Kind::kList: return among(kListMethods, name);
    case Kind::kTuple: return name == "index" || name == "count";
    default: return false;
  }
}

Value Interpreter::call_method(const MethodObject& method, const CallArguments& arguments) {
  ArgumentReader in(arguments, fmt::format("{}.{}()", type_name(method.self), method.name));
  if (method.self.is(Kind::kLoop)) {
    auto& loop = method.self.as<LoopObject>();
    if (method.name == "cycle") {
      if (arguments.positional.empty()) fail("loop.cycle() needs a value");
      return arguments.positional[loop.index0 % arguments.positional.size()];
    }
    const Value now = Value::tuple(arguments.positional);  // loop.changed
    const bool changed = !loop.has_changed_value || !equal(loop.changed_value, now);
    loop.has_changed_value = true;
    loop.changed_value = now;
    return Value::boolean(changed);
  }
  Value result = method.self.is_string()          ? string_method(method.self, method.name, in)
                 : method.self.is(Kind::kDict) ? dict_method(method.self, method.name, in)
                                               : list_method(method.self, method.name, in);
  in.finish();
  return result;
}

Value Interpreter::loop_attribute(const Value& value, const std::string& name) {
  const auto& loop = value.as<LoopObject>();
  const auto size = static_cast<int64_t>(loop.items.size()), at = static_cast<int64_t>(loop.index0);
  if (name == "index") return Value::integer(at + 1);
  if (name == "index0") return Value::integer(at);
  if (name == "revindex") return Value::integer(size - at);
  if (name == "revindex0") return Value::integer(size - at - 1);
  if (name == "first") return Value::boolean(at == 0);
  if (name == "last") return Value::boolean(at + 1 == size);
  if (name == "length") return Value::integer(size);
  if (name == "depth") return Value::integer(loop.depth);
  if (name == "depth0") return Value::integer(loop.depth - 1);
  if (name == "previtem") return at > 0 ? loop.items[loop.index0 - 1] : Value::undefined("there is no previous item: it");
  if (name == "nextitem") return at + 1 < size ? loop.items[loop.index0 + 1] : Value::undefined("there is no next item: it");
  if (name == "cycle" || name == "changed") {
    auto method = std::make_shared<MethodObject>();
    method->self = value;
    method->name = name;
    return Value::object(Kind::kMethod, std::move(method));
  }
  return Value::undefined(fmt::format("'loop' has no attribute '{}': it", name));
}

std::optional<int> global_function(std::string_view name) {
  const auto it = std::find(kFunctions.begin(), kFunctions.end(), name);
  if (it == kFunctions.end()) return std::nullopt;
  return static_cast<int>(it - kFunctions.begin());
}

Value Interpreter::call_function(int id, const CallArguments& arguments) {
  ArgumentReader in(arguments, fmt::format("{}()", kFunctions[static_cast<size_t>(id)]));
  switch (id) {
    case kRangeFunction: {
      int64_t begin = 0, end = in.take_int("start", 0);
      if (arguments.positional.size() > 1) {
        begin = end;
        end = in.take_int("stop", 0);
      }
      const int64_t step = in.take_int("step", 1);
      in.finish();
      if (arguments.positional.empty()) fail("range() needs a number");
      if (step == 0) fail("the step of range() cannot be zero");
      std::vector<Value> items;
      for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
        if (items.size() >= 100000) fail("range() gives at most 100000 items in the sandbox");
        items.push_back(Value::integer(i));
      }
      return Value::sequence(Kind::kRange, std::move(items));
    }
    case kDictFunction: {
      auto dict = std::make_shared<DictObject>();
      dict->nesting = 1;
      if (!arguments.positional.empty()) {
        if (!arguments.positional[0].is(Kind::kDict)) fail_unsupported("dict() of something that is no dict");
        *dict = arguments.positional[0].as<DictObject>();
      }
      for (const auto& [name, value] : arguments.named) dict->set(Value::string(name), value);
      return Value::object(Kind::kDict, std::move(dict));
    }
    case kNamespaceFunction: {
      auto space = std::make_shared<NamespaceObject>();
      for (const Value& value : arguments.positional) {
        if (!value.is(Kind::kDict)) fail("namespace() takes names with values");
        for (const auto& [key, item] : value.as<DictObject>().entries) space->set(to_text(key).bytes(), item);
      }
      for (const auto& [name, value] : arguments.named) space->set(name, value);
      namespaces_.push_back(space);
      return Value::object(Kind::kNamespace, std::move(space));
    }
    case kRaise: fail(fmt::format("the template refuses: {}", to_text(in.require("message")).bytes()));
    default: {
      const std::string& format = string_argument(in.require("format"), in.what()).bytes();
      const std::tm time = time_of(date_);
      std::array<char, 512> buffer{};
      if (format.size() > 200) fail("strftime_now() was given too long a format");
      const size_t size = std::strftime(buffer.data(), buffer.size(), format.c_str(), &time);
      return Value::string(std::string(buffer.data(), size));
    }
  }
}

}  // namespace hone::text::jinja
