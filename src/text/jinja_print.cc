// str(), repr() and json.dumps() of values, byte for byte as Python prints them.
#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja_value.h"

namespace hone::text::jinja {

// Shortest digits that read back as the same double; exponent form outside 1e-4 ≤ |x| < 1e16.
std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string digits(buffer, end);
  const size_t e = digits.find('e');
  const int exponent = std::stoi(digits.substr(e + 1));
  if (exponent < -4 || exponent >= 16) {
    return fmt::format("{}e{}{:02}", digits.substr(0, e), exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
  std::string text(buffer, fixed);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

namespace {

bool is_printable(char32_t c) {
  if (c < 0x7F) return c >= 0x20;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

void repr_string(Text& out, const Text& text) {
  const std::string& bytes = text.bytes();
  const bool has_single = bytes.find('\'') != std::string::npos, has_double = bytes.find('"') != std::string::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  out.append(std::string_view(&quote, 1));
  for (size_t i = 0; i < bytes.size();) {
    const CodePoint point = code_point_at(bytes, i);
    const char32_t c = point.value;
    std::string piece;
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      piece = {'\\', static_cast<char>(c)};
    } else if (c == '\n') {
      piece = "\\n";
    } else if (c == '\r') {
      piece = "\\r";
    } else if (c == '\t') {
      piece = "\\t";
    } else if (is_printable(c)) {
      piece = bytes.substr(i, point.length);
    } else if (c < 0x100) {
      piece = fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
    } else if (c < 0x10000) {
      piece = fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else {
      piece = fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
    }
    out.append(piece, text.source_at(i));
    i += point.length;
  }
  out.append(std::string_view(&quote, 1));
}

void repr_into(Text& out, const Value& value, int depth);

void repr_items(Text& out, const std::vector<Value>& items, Source source, int depth) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ", source);
    repr_into(out, items[i], depth + 1);
  }
}

void repr_into(Text& out, const Value& value, int depth) {
  if (depth > kMaxNesting) fail("a value nests too deep to be printed");
  charge(1);
  const Source source = value.source();
  switch (value.kind()) {
    case Kind::kUndefined: out.append("Undefined"); return;
    case Kind::kNone: out.append("None", source); return;
    case Kind::kBool: out.append(value.as_bool() ? "True" : "False", source); return;
    case Kind::kInt: out.append(std::to_string(value.as_int()), source); return;
    case Kind::kFloat: out.append(float_repr(value.as_float()), source); return;
    case Kind::kString:
      if (value.text().markup) out.append("Markup(");
      repr_string(out, value.text());
      if (value.text().markup) out.append(")");
      return;
    case Kind::kList:
      out.append("[", source);
      repr_items(out, value.items(), source, depth);
      out.append("]", source);
      return;
    case Kind::kTuple:
      out.append("(", source);
      repr_items(out, value.items(), source, depth);
      out.append(value.items().size() == 1 ? ",)" : ")", source);
      return;
    case Kind::kDict: {
      out.append("{", source);
      bool first = true;
      for (const auto& [key, item] : value.as<DictObject>().entries) {
        if (!first) out.append(", ", source);
        first = false;
        repr_into(out, key, depth + 1);
        out.append(": ", source);
        repr_into(out, item, depth + 1);
      }
      out.append("}", source);
      return;
    }
    default:
      // Python prints an address here; no text of such a kind could be compared with it.
      fail_unsupported(fmt::format("a {} cannot be printed", type_name(value)));
  }
}

struct JsonWriter {
  Text out;
  const JsonStyle& style;

  void newline(int depth, Source source) {
    std::string text = "\n";
    for (int i = 0; i < depth; ++i) text += style.indent_text;
    out.append(text, source);
  }

  void string(const Text& text) {
    const std::string& bytes = text.bytes();
    out.append("\"");
    // Runs of plain characters are copied whole, with their provenance.
    size_t plain = 0;
    const auto flush = [&](size_t end) {
      if (end > plain) out.append(text.slice(plain, end));
    };
    for (size_t i = 0; i < bytes.size();) {
      const CodePoint point = code_point_at(bytes, i);
      const char32_t c = point.value;
      std::string piece;
      switch (c) {
        case '"': piece = "\\\""; break;
        case '\\': piece = "\\\\"; break;
        case '\n': piece = "\\n"; break;
        case '\r': piece = "\\r"; break;
        case '\t': piece = "\\t"; break;
        case '\f': piece = "\\f"; break;
        case '\b': piece = "\\b"; break;
        default:
          if (c < 0x20) {
            piece = fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
          } else if (style.ensure_ascii && c > 0x7E && c < 0x10000) {
            piece = fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
          } else if (style.ensure_ascii && c >= 0x10000) {
            const uint32_t rest = static_cast<uint32_t>(c) - 0x10000;
            piece = fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
          }
      }
      if (!piece.empty()) {
        flush(i);
        out.append(piece, text.source_at(i));
        plain = i + point.length;
      }
      i += point.length;
    }
    flush(bytes.size());
    if (bytes.empty()) out.append(text);  // keeps the mark of an empty string
    out.append("\"");
  }

  void key(const Value& value) {
    switch (value.kind()) {
      case Kind::kString: string(value.text()); return;
      case Kind::kBool: out.append(value.as_bool() ? "\"true\"" : "\"false\""); return;
      case Kind::kNone: out.append("\"null\""); return;
      case Kind::kInt:
      case Kind::kFloat:
        out.append("\"");
        write(value, 0);
        out.append("\"");
        return;
      default: fail(fmt::format("a {} cannot be a key in JSON", type_name(value)));
    }
  }

  template <class Each>
  void container(char open, char close, size_t count, Source source, int depth, const Each& each) {
    out.append(std::string_view(&open, 1), source);
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) out.append(style.item_separator, source);
      if (style.indent >= 0) newline(depth + 1, source);
      each(i);
    }
    if (count > 0 && style.indent >= 0) newline(depth, source);
    out.append(std::string_view(&close, 1), source);
  }

  void write(const Value& value, int depth) {
    if (depth > kMaxNesting) fail("a value nests too deep for tojson");
    charge(1);
    const Source source = value.source();
    switch (value.kind()) {
      case Kind::kNone: out.append("null", source); return;
      case Kind::kBool: out.append(value.as_bool() ? "true" : "false", source); return;
      case Kind::kInt: out.append(std::to_string(value.as_int()), source); return;
      case Kind::kFloat: {
        const double x = value.as_float();
        out.append(std::isnan(x) ? "NaN" : std::isinf(x) ? (x < 0 ? "-Infinity" : "Infinity") : float_repr(x), source);
        return;
      }
      case Kind::kString: string(value.text()); return;
      case Kind::kList:
      case Kind::kTuple: {
        const auto& items = value.items();
        container('[', ']', items.size(), source, depth, [&](size_t i) { write(items[i], depth + 1); });
        return;
      }
      case Kind::kDict: {
        const auto& entries = value.as<DictObject>().entries;
        std::vector<size_t> order(entries.size());
        for (size_t i = 0; i < order.size(); ++i) order[i] = i;
        if (style.sort_keys) {
          std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
            return compare(entries[a].first, entries[b].first) < 0;
          });
        }
        container('{', '}', entries.size(), source, depth, [&](size_t i) {
          key(entries[order[i]].first);
          out.append(style.key_separator, source);
          write(entries[order[i]].second, depth + 1);
        });
        return;
      }
      default: fail(fmt::format("a {} cannot be written as JSON", type_name(value)));
    }
  }
};

Value convert(const nlohmann::ordered_json& json, Source source, int depth) {
  if (depth > kMaxNesting - 8) fail(fmt::format("the data nests deeper than {} levels", kMaxNesting - 8));
  using Type = nlohmann::ordered_json::value_t;
  switch (json.type()) {
    case Type::boolean: return Value::boolean(json.get<bool>()).from(source);
    case Type::number_integer: return Value::integer(json.get<int64_t>(), source);
    case Type::number_unsigned: {
      const uint64_t number = json.get<uint64_t>();
      if (number > static_cast<uint64_t>(INT64_MAX)) {
        fail_unsupported(fmt::format("the integer {} does not fit 64 bits with sign", number));
      }
      return Value::integer(static_cast<int64_t>(number), source);
    }
    case Type::number_float: return Value::real(json.get<double>(), source);
    case Type::string: return Value::string(Text(json.get_ref<const std::string&>(), source));
    case Type::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(convert(item, source, depth + 1));
      return Value::list(std::move(items)).from(source);
    }
    case Type::object: {
      auto dict = std::make_shared<DictObject>();
      dict->nesting = 1;
      charge(1 + json.size());
      for (const auto& [key, item] : json.items()) {
        dict->set(Value::string(Text(key, source)), convert(item, source, depth + 1));
      }
      return Value::object(Kind::kDict, std::move(dict)).from(source);
    }
    default: return Value::none().from(source);
  }
}

}  // namespace

Text repr(const Value& value) {
  Text out;
  repr_into(out, value, 0);
  return out;
}

Text to_text(const Value& value) {
  if (value.is_string()) return value.text();
  if (value.is_undefined()) return {};
  return repr(value);
}

Text to_json(const Value& value, const JsonStyle& style) {
  JsonWriter writer{{}, style};
  writer.write(value, 0);
  return std::move(writer.out);
}

Value from_json(const nlohmann::ordered_json& json, Source source) { return convert(json, source, 0); }

}  // namespace hone::text::jinja
