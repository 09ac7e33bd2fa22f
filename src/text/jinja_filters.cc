// What may follow "|".
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "text/jinja_interpreter.h"

namespace hone::text::jinja {
namespace {

const Text& needs_string(const Value& value, const ArgumentReader& in) {
  if (value.is_undefined()) fail_undefined(value);
  if (!value.is_string()) fail(fmt::format("{} needs a string, not {}", in.what(), type_name(value)));
  return value.text();
}

using Filter = Value (*)(const Value&, ArgumentReader&);

Value tojson(const Value& x, ArgumentReader& in) {
  JsonStyle style;
  // transformers' own tojson: (x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)
  style.ensure_ascii = in.take_bool("ensure_ascii", false);
  if (const Value* indent = in.take("indent"); indent && !indent->is_none()) {
    style.item_separator = ",";
    style.indent = 0;
    if (indent->is_string()) style.indent_text = indent->bytes();
    else if (indent->is_integral() && indent->as_int() <= 64)
      style.indent_text.assign(static_cast<size_t>(std::max<int64_t>(0, indent->as_int())), ' ');
    else fail("tojson: 'indent' must be a number up to 64 or a string");
  }
  if (const Value* separators = in.take("separators"); separators && !separators->is_none()) {
    const auto pair = iterate(*separators);
    if (pair.size() != 2) fail("tojson: 'separators' must be a pair");
    style.item_separator = needs_string(pair[0], in).bytes();
    style.key_separator = needs_string(pair[1], in).bytes();
  }
  style.sort_keys = in.take_bool("sort_keys", false);
  if (x.is_undefined()) fail_undefined(x);
  return Value::string(to_json(x, style));
}

Value to_int(const Value& x, ArgumentReader& in) {
  const Value* otherwise = in.take("default");
  const int64_t base = in.take_int("base", 10);
  const Value fallback = otherwise ? *otherwise : Value::integer(0);
  if (x.is_integral()) return Value::integer(x.as_int());
  if (x.is(Kind::kFloat)) return std::abs(x.as_float()) < 9e18 ? Value::integer(static_cast<int64_t>(x.as_float())) : fallback;
  if (!x.is_string()) return fallback;
  const std::string text = strip(x.text(), Side::kBoth, nullptr).take_bytes();
  int64_t value = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  auto [end, error] = std::from_chars(begin, text.data() + text.size(), value, static_cast<int>(std::clamp<int64_t>(base, 2, 36)));
  if (error == std::errc{} && end == text.data() + text.size()) return Value::integer(value);
  double real = 0;
  const auto parsed = std::from_chars(begin, text.data() + text.size(), real);
  if (parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && std::abs(real) < 9e18)
    return Value::integer(static_cast<int64_t>(real));
  return fallback;
}

Value to_float(const Value& x, ArgumentReader& in) {
  const Value* otherwise = in.take("default");
  if (x.is_number()) return Value::real(x.as_float());
  if (x.is_string()) {
    const std::string text = strip(x.text(), Side::kBoth, nullptr).take_bytes();
    double real = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), real);
    if (error == std::errc{} && end == text.data() + text.size()) return Value::real(real);
  }
  return otherwise ? *otherwise : Value::real(0);
}

Value round_number(const Value& x, ArgumentReader& in) {
  const int64_t digits = std::clamp<int64_t>(in.take_int("precision", 0), -300, 300);
  const Value* method = in.take("method");
  if (!x.is_number()) fail(fmt::format("round needs a number, not {}", type_name(x)));
  const double scale = std::pow(10.0, static_cast<double>(digits)), scaled = x.as_float() * scale;
  const std::string how = method ? to_text(*method).bytes() : "common";
  if (how == "ceil") return Value::real(std::ceil(scaled) / scale);
  if (how == "floor") return Value::real(std::floor(scaled) / scale);
  return Value::real(std::nearbyint(scaled) / scale);
}

Value indent(const Value& x, ArgumentReader& in) {
  const Value* width = in.take("width");
  const bool first = in.take_bool("first", false), blank = in.take_bool("blank", false);
  std::string margin(4, ' ');
  if (width && width->is_string()) margin = width->bytes();
  else if (width && width->is_integral()) margin.assign(static_cast<size_t>(std::clamp<int64_t>(width->as_int(), 0, 256)), ' ');
  Text text = to_text(x);
  text.append("\n");
  Text out;
  bool at_first = true;
  for (const Text& line : split_lines(text, /*keep_ends=*/false)) {
    if (!at_first) out.append("\n");
    if ((at_first && first) || (!at_first && (blank || !line.empty()))) out.append(margin);
    at_first = false;
    out.append(line);
  }
  return Value::string(std::move(out));
}

// Strings compare without case unless told otherwise, as in Jinja.
Value sort_key(const Value& value, bool case_sensitive) {
  return value.is_string() && !case_sensitive ? Value::string(map_case(value.text(), Case::kLower)) : value;
}

std::vector<Value> sorted(std::vector<Value> items, const std::vector<Value>& keys, bool reverse) {
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return reverse ? compare(keys[b], keys[a]) < 0 : compare(keys[a], keys[b]) < 0;
  });
  std::vector<Value> out;
  for (const size_t i : order) out.push_back(items[i]);
  return out;
}

Value dictsort(const Value& x, ArgumentReader& in) {
  if (!x.is(Kind::kDict)) fail("dictsort needs a dict");
  const bool case_sensitive = in.take_bool("case_sensitive", false);
  const Value* by = in.take("by");
  const bool by_value = by && to_text(*by).bytes() == "value", reverse = in.take_bool("reverse", false);
  std::vector<Value> items, keys;
  for (const auto& [key, value] : x.as<DictObject>().entries) {
    items.push_back(Value::tuple({key, value}));
    keys.push_back(sort_key(by_value ? value : key, case_sensitive));
  }
  return Value::list(sorted(std::move(items), keys, reverse));
}

Value replace_filter(const Value& x, ArgumentReader& in) {
  const Text from = to_text(in.require("old")), to = to_text(in.require("new"));
  return Value::string(replace(to_text(x), from, to, in.take_int("count", -1)));
}

Value default_filter(const Value& x, ArgumentReader& in) {
  const Value* otherwise = in.take("default_value");
  const bool if_false = in.take_bool("boolean", false);
  if (x.is_undefined() || (if_false && !x.truthy())) return otherwise ? *otherwise : Value::string(std::string());
  return x;
}

Value reverse(const Value& x, ArgumentReader&) {
  std::vector<Value> items = iterate(x);
  std::reverse(items.begin(), items.end());
  if (!x.is_string()) return Value::sequence(Kind::kGenerator, std::move(items));
  Text text;
  for (const Value& character : items) text.append(character.text());
  return Value::string(std::move(text));
}

Value end_item(const Value& x, bool last) {
  const auto items = iterate(x);
  if (items.empty()) return Value::undefined(fmt::format("the {} item of an empty sequence", last ? "last" : "first"));
  return last ? items.back() : items.front();
}

Value unique(const Value& x, ArgumentReader& in) {
  const bool case_sensitive = in.take_bool("case_sensitive", false);
  DictObject seen;
  std::vector<Value> items;
  for (const Value& item : iterate(x)) {
    const Value key = sort_key(item, case_sensitive);
    if (seen.find(key)) continue;
    seen.set(key, Value::none());
    items.push_back(item);
  }
  return Value::sequence(Kind::kGenerator, std::move(items));
}

Value items_filter(const Value& x, ArgumentReader&) {
  std::vector<Value> items;
  if (x.is_undefined()) return Value::sequence(Kind::kGenerator, {});
  if (!x.is(Kind::kDict)) fail("items needs a dict");
  for (const auto& [key, value] : x.as<DictObject>().entries) items.push_back(Value::tuple({key, value}));
  return Value::sequence(Kind::kGenerator, std::move(items));
}

Value trim(const Value& x, ArgumentReader& in) {
  const Value* characters = in.take("chars");
  const std::string set = characters && !characters->is_none() ? to_text(*characters).bytes() : std::string();
  return Value::string(strip(to_text(x), Side::kBoth, characters && !characters->is_none() ? &set : nullptr));
}

template <Case mapping>
Value cased(const Value& x, ArgumentReader&) {
  return Value::string(map_case(to_text(x), mapping));
}

Value escape(const Value& x, ArgumentReader&) {
  if (x.is_string() && x.text().markup) return x;
  return Value::string(escape_html(to_text(x)));
}

Value safe(const Value& x, ArgumentReader&) {
  Text text = to_text(x);
  text.markup = true;
  return Value::string(std::move(text));
}

Value absolute(const Value& x, ArgumentReader&) {
  if (x.is(Kind::kFloat)) return Value::real(std::abs(x.as_float()));
  if (!x.is_integral()) fail(fmt::format("abs needs a number, not {}", type_name(x)));
  return x.as_int() < 0 ? arithmetic(ExpressionKind::kSubtract, Value::integer(0), x) : Value::integer(x.as_int());
}

Value wordcount(const Value& x, ArgumentReader&) {
  return Value::integer(static_cast<int64_t>(split(to_text(x), nullptr, -1).size()));
}

const std::map<std::string_view, Filter>& simple_filters() {
  static const std::map<std::string_view, Filter> filters = {
      {"abs", absolute}, {"capitalize", cased<Case::kCapitalize>}, {"d", default_filter}, {"default", default_filter},
      {"dictsort", dictsort}, {"e", escape}, {"escape", escape}, {"float", to_float}, {"indent", indent}, {"int", to_int},
      {"items", items_filter}, {"lower", cased<Case::kLower>}, {"replace", replace_filter}, {"reverse", reverse},
      {"round", round_number}, {"safe", safe}, {"title", cased<Case::kTitleFilter>}, {"tojson", tojson}, {"trim", trim},
      {"unique", unique}, {"upper", cased<Case::kUpper>}, {"wordcount", wordcount},
      {"count", [](const Value& x, ArgumentReader&) { return Value::integer(length(x)); }},
      {"length", [](const Value& x, ArgumentReader&) { return Value::integer(length(x)); }},
      {"first", [](const Value& x, ArgumentReader&) { return end_item(x, false); }},
      {"last", [](const Value& x, ArgumentReader&) { return end_item(x, true); }},
      {"list", [](const Value& x, ArgumentReader&) { return Value::list(iterate(x)); }},
      {"string", [](const Value& x, ArgumentReader&) { return Value::string(to_text(x)); }},
  };
  return filters;
}

// Filters that look into items or run other filters.
constexpr std::string_view kItemFilters[] = {"join", "map", "max", "min", "reject", "rejectattr", "select", "selectattr",
                                             "sort", "sum"};

}  // namespace

bool is_filter(std::string_view name) {
  return simple_filters().contains(name) || std::find(std::begin(kItemFilters), std::end(kItemFilters), name) != std::end(kItemFilters);
}

// item.a.b or item[2], as attribute= arguments name it.
Value Interpreter::by_path(const Value& value, const Value& path) {
  if (path.is_integral()) return item(value, path);
  Value current = value;
  const std::string dot = ".";
  for (const Text& part : split(to_text(path), &dot, -1)) {
    int64_t index = 0;
    const std::string& word = part.bytes();
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), index);
    const bool number = error == std::errc{} && end == word.data() + word.size();
    current = item(current, number ? Value::integer(index) : Value::string(word));
  }
  return current;
}

Value Interpreter::map_filter(const Value& input, const CallArguments& arguments) {
  std::vector<Value> items;
  if (!input.truthy()) return Value::sequence(Kind::kGenerator, {});
  const auto named = [&](std::string_view name) -> const Value* {
    for (const auto& [key, value] : arguments.named)
      if (key == name) return &value;
    return nullptr;
  };
  if (const Value* path = named("attribute"); path && arguments.positional.empty()) {
    const Value* otherwise = named("default");
    for (const Value& entry : iterate(input)) {
      Value found = by_path(entry, *path);
      items.push_back(found.is_undefined() && otherwise ? *otherwise : std::move(found));
    }
    return Value::sequence(Kind::kGenerator, std::move(items));
  }
  if (arguments.positional.empty()) fail("map needs the name of a filter, or attribute=");
  const std::string filter = to_text(arguments.positional[0]).bytes();
  if (!is_filter(filter)) fail_unsupported(fmt::format("the filter '{}' is not known", filter));
  CallArguments rest{{arguments.positional.begin() + 1, arguments.positional.end()}, arguments.named};
  for (const Value& entry : iterate(input)) items.push_back(apply_filter(filter, entry, rest));
  return Value::sequence(Kind::kGenerator, std::move(items));
}

Value Interpreter::select_filter(const Value& input, const CallArguments& arguments, bool by_attribute, bool keep) {
  if (!input.truthy()) return Value::sequence(Kind::kGenerator, {});
  const size_t at = by_attribute ? 1 : 0;
  if (arguments.positional.size() < at) fail("selectattr and rejectattr need the name of an attribute");
  CallArguments rest;
  std::string test;
  if (arguments.positional.size() > at) {
    test = to_text(arguments.positional[at]).bytes();
    rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(at) + 1, arguments.positional.end());
  }
  std::vector<Value> items;
  for (const Value& entry : iterate(input)) {
    const Value subject = by_attribute ? by_path(entry, arguments.positional[0]) : entry;
    if ((test.empty() ? subject.truthy() : apply_test(test, subject, rest)) == keep) items.push_back(entry);
  }
  return Value::sequence(Kind::kGenerator, std::move(items));
}

Value Interpreter::apply_filter(std::string_view name, const Value& input, const CallArguments& arguments) {
  charge(1);
  if (++depth_ > Budget{}.depth) fail(fmt::format("evaluation nests deeper than {} levels", Budget{}.depth));
  const auto run = [&]() -> Value {
    ArgumentReader in(arguments, fmt::format("filter '{}'", name));
    if (const auto it = simple_filters().find(name); it != simple_filters().end()) {
      Value result = it->second(input, in);
      in.finish();
      return result;
    }
    if (name == "map") return map_filter(input, arguments);
    if (name == "select" || name == "reject") return select_filter(input, arguments, false, name == "select");
    if (name == "selectattr" || name == "rejectattr") return select_filter(input, arguments, true, name == "selectattr");
    if (name == "join") {
      const Value* separator = in.take("d");
      const Value* path = in.take("attribute");
      in.finish();
      const Text between = separator ? to_text(*separator) : Text();
      Text text;
      bool first = true;
      for (const Value& entry : iterate(input)) {
        if (!first) text.append(between);
        first = false;
        text.append(to_text(path && !path->is_none() ? by_path(entry, *path) : entry));
      }
      return Value::string(std::move(text));
    }
    if (name == "sum") {
      const Value* path = in.take("attribute");
      const Value* start = in.take("start");
      in.finish();
      Value total = start ? *start : Value::integer(0);
      for (const Value& entry : iterate(input))
        total = arithmetic(ExpressionKind::kAdd, total, path && !path->is_none() ? by_path(entry, *path) : entry);
      return total;
    }
    const bool sorting = name == "sort";
    const bool descending = sorting && in.take_bool("reverse", false), case_sensitive = in.take_bool("case_sensitive", false);
    const Value* path = in.take("attribute");
    in.finish();
    std::vector<Value> items = iterate(input), keys;
    for (const Value& entry : items)
      keys.push_back(sort_key(path && !path->is_none() ? by_path(entry, *path) : entry, case_sensitive));
    if (sorting) return Value::list(sorted(std::move(items), keys, descending));
    if (items.empty()) return Value::undefined(fmt::format("the {} of an empty sequence", name));
    size_t best = 0;
    for (size_t i = 1; i < keys.size(); ++i)
      if (name == "max" ? compare(keys[i], keys[best]) > 0 : compare(keys[i], keys[best]) < 0) best = i;
    return items[best];
  };
  Value result = run();
  --depth_;
  return result;
}

}  // namespace hone::text::jinja
