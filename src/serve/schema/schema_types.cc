// The words of numbers, strings, objects and arrays.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "serve/schema/pattern.h"
#include "serve/schema/schema_compiler.h"

namespace hone::serve {
namespace {

constexpr unsigned kObject = SchemaCompiler::kObject, kArray = SchemaCompiler::kArray, kInteger = SchemaCompiler::kInteger, kFraction = SchemaCompiler::kFraction;
constexpr unsigned kBoolean = SchemaCompiler::kBoolean, kNullType = SchemaCompiler::kNullType, kString = SchemaCompiler::kString;
constexpr uint32_t kMaxCounted = 64;
constexpr size_t kMaxPatterns = 4, kMaxFirst = 4096;
constexpr int64_t kMaxLength = 1'000'000'000;

unsigned type_of(const Json& type, const std::string& where) {
  if (type == "object") return kObject;
  if (type == "array") return kArray;
  if (type == "integer") return kInteger;
  if (type == "number") return kInteger | kFraction;
  if (type == "boolean") return kBoolean;
  if (type == "null") return kNullType;
  if (type == "string") return kString;
  throw Error(ErrorCode::kInvalidInput, where + ".type", "expected object, array, string, number, integer, boolean or null");
}

// {low, high} of formats that name the size of a number.
const std::pair<const char*, const char*>* integer_format(const std::string& format) {
  static const std::map<std::string, std::pair<const char*, const char*>> kFormats = {
      {"int8", {"-128", "127"}}, {"int16", {"-32768", "32767"}}, {"int32", {"-2147483648", "2147483647"}}, {"int64", {"-9223372036854775808", "9223372036854775807"}},
      {"uint8", {"0", "255"}}, {"uint16", {"0", "65535"}}, {"uint32", {"0", "4294967295"}}, {"uint64", {"0", "18446744073709551615"}}, {"uint", {"0", "18446744073709551615"}}, {"int", {"-9223372036854775808", "9223372036854775807"}}};
  const auto known = kFormats.find(format);
  return known == kFormats.end() ? nullptr : &known->second;
}

bool number_format(const std::string& format) { return integer_format(format) || format == "float" || format == "double"; }

Decimal gcd_of(Decimal a, Decimal b) {
  while (b != 0) a = std::exchange(b, a % b);
  return a;
}

// A count of a schema's word, at most kMaxLength; what is beyond it is out of reach anyway.
std::optional<uint32_t> count_of(const Json& json, const std::string& where, const char* word) {
  const auto found = json.find(word);
  if (found == json.end()) return std::nullopt;
  const double value = found->is_number() ? found->get<double>() : -1;
  if (value < 0 || value != std::floor(value)) throw Error(ErrorCode::kInvalidInput, where + "." + word, "expected a whole number, 0 or more");
  return static_cast<uint32_t>(std::min(value, static_cast<double>(kMaxLength)));
}

const Json* object_of(const Json& json, const std::string& where, const char* word) {
  const auto found = json.find(word);
  if (found == json.end()) return nullptr;
  if (!found->is_object()) throw Error(ErrorCode::kInvalidInput, where + "." + word, "expected an object");
  return &*found;
}

const Json* word_of(const Json& json, const char* word) {
  const auto found = json.find(word);
  return found == json.end() ? nullptr : &*found;
}

std::string text_of_word(const Json& json, const std::string& where, const char* word) {
  if (!json.is_string()) throw Error(ErrorCode::kInvalidInput, where + "." + word, "expected a text");
  return json.get<std::string>();
}

}  // namespace

// Those of "type"; where none is named, those that the other words are about.
unsigned SchemaCompiler::types_of(const Items& items) const {
  constexpr unsigned kAll = kObject | kArray | kInteger | kFraction | kBoolean | kNullType | kString;
  unsigned types = kAll, meant = 0;
  bool named = false;
  for (const Item& item : items) {
    if (const Json* type = word_of(*item.json, "type")) {
      unsigned these = 0;
      if (type->is_array()) {
        for (const Json& one : *type) these |= type_of(one, item.where);
      } else {
        these = type_of(*type, item.where);
      }
      types &= these;
      named = true;
    }
    for (const auto& [word, value] : item.json->items()) {
      static const std::map<std::string, unsigned, std::less<>> kAbout = {
          {"properties", kObject}, {"required", kObject}, {"additionalProperties", kObject}, {"patternProperties", kObject}, {"propertyNames", kObject}, {"minProperties", kObject}, {"maxProperties", kObject},
          {"unevaluatedProperties", kObject}, {"items", kArray}, {"prefixItems", kArray}, {"additionalItems", kArray}, {"minItems", kArray}, {"maxItems", kArray}, {"uniqueItems", kArray}, {"unevaluatedItems", kArray},
          {"minLength", kString}, {"maxLength", kString}, {"pattern", kString}, {"minimum", kInteger | kFraction}, {"maximum", kInteger | kFraction}, {"exclusiveMinimum", kInteger | kFraction},
          {"exclusiveMaximum", kInteger | kFraction}, {"multipleOf", kInteger | kFraction}};
      if (const auto about = kAbout.find(word); about != kAbout.end()) meant |= about->second;
      if (word == "format") meant |= value.is_string() && number_format(value.get<std::string>()) ? (integer_format(value.get<std::string>()) ? kInteger : kInteger | kFraction) : kString;
    }
  }
  return named || meant == 0 ? types : meant;
}

void SchemaCompiler::fill_number(SchemaNode& node, const Items& items, bool fractions) {
  NumberRule& rule = node.range;
  rule.fractions = fractions;
  rule.free = fractions;
  bool some = true;
  const auto bound = [&](const std::string& text, bool upper, bool open) {
    Decimal value = 0, down = 0, up = 0;
    const bool exact = NumberRule::parse(text, value, down, up);
    rule.free = false;
    if (upper) rule.high = std::min(rule.high, down - (open && exact ? 1 : 0));
    else rule.low = std::max(rule.low, up + (open && exact ? 1 : 0));
  };
  for (const Item& item : items) {
    const Json& json = *item.json;
    for (const char* word : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}) {
      const Json* value = word_of(json, word);
      if (!value) continue;
      const std::string name = word;
      const bool open = name.starts_with("exclusive"), upper = name.ends_with("aximum");
      if (open && value->is_boolean()) continue;  // the old form: of the bound beside it
      if (!value->is_number()) throw Error(ErrorCode::kInvalidInput, item.where + "." + name, "expected a number");
      const std::string text = value->dump();
      if (name != "multipleOf") {
        const Json* old = word_of(json, upper ? "exclusiveMaximum" : "exclusiveMinimum");
        bound(text, upper, open || (old && old->is_boolean() && old->get<bool>()));
        continue;
      }
      Decimal step = 0, down = 0, up = 0;
      if (!NumberRule::parse(text, step, down, up)) throw Error(ErrorCode::kUnsupported, item.where + ".multipleOf", "expected a number of at most 15 digits after the point and 19 before it");
      if (step <= 0) throw Error(ErrorCode::kInvalidInput, item.where + ".multipleOf", "expected a number above 0");
      rule.free = false;
      if (rule.step == 0) {
        rule.step = step;
      } else {
        const Decimal times = step / gcd_of(rule.step, step);
        rule.step = times > NumberRule::kLargest / rule.step ? NumberRule::kLargest + 1 : times * rule.step;
      }
    }
    const Json* format = word_of(json, "format");
    if (!format || !format->is_string()) continue;
    if (const auto* size = integer_format(format->get<std::string>())) {
      bound(size->first, /*upper=*/false, /*open=*/false);
      bound(size->second, /*upper=*/true, /*open=*/false);
      rule.fractions = false;
    }
  }
  some = rule.low <= rule.high && (rule.free || rule.count({}) > 0);
  node.number = some;
  if (!some) empty_[&node] = fmt::format("{}: no number follows these words", items.front().where);
}

std::shared_ptr<const TextAutomaton> SchemaCompiler::automaton(Term term, const std::string& where) {
  auto& known = automata_[term];
  if (!known) known = languages_.automaton(term, where);
  return known;
}

void SchemaCompiler::fill_text(SchemaNode& node, const Items& items, const std::string& where) {
  TextRule& rule = node.text;
  Term patterns = languages_.everything(), formats = patterns;
  std::string place = where;
  for (const Item& item : items) {
    if (const auto min = count_of(*item.json, item.where, "minLength")) rule.min = std::max(rule.min, *min);
    if (const auto max = count_of(*item.json, item.where, "maxLength")) rule.max = std::min(rule.max, *max);
    if (const Json* pattern = word_of(*item.json, "pattern")) {
      place = item.where + ".pattern";
      patterns = languages_.both(patterns, pattern_language(languages_, text_of_word(*pattern, item.where, "pattern"), place));
    }
    const Json* format = word_of(*item.json, "format");
    if (!format) continue;
    const std::string name = text_of_word(*format, item.where, "format"), at = item.where + ".format";
    if (number_format(name)) continue;
    if (const char* meant = format_pattern(name, at)) {
      if (patterns == languages_.everything()) place = at;
      formats = languages_.both(formats, pattern_language(languages_, meant, at));
    }
  }
  node.string = rule.min <= rule.max;
  Term both = languages_.both(patterns, formats);
  if (node.string && both != languages_.everything()) {
    // A long longest length is counted beside the automaton, which would have a state for each place otherwise.
    const int64_t max = rule.max > kMaxCounted ? Languages::kUnbounded : rule.max;
    const Term length = languages_.framed(languages_.repeat(languages_.any_char(), rule.min, max));
    Term term = languages_.both(both, length);
    rule.automaton = automaton(term, place);
    // A pattern that no text of the format follows says what the author means: zod's times have no zone, those of RFC 3339 do.
    if (rule.automaton->start() == TextAutomaton::kDead && formats != languages_.everything() && patterns != languages_.everything()) {
      term = languages_.both(patterns, length);
      rule.automaton = automaton(term, place);
    }
    node.string = rule.automaton->start() != TextAutomaton::kDead && rule.automaton->shortest(rule.automaton->start()) <= rule.max;
    texts_[&node] = term;
    rule.min = 0;  // the automaton knows it
    if (max != Languages::kUnbounded) rule.max = UINT32_MAX;
  }
  if (!node.string) empty_[&node] = place + ": no text follows these words";
}

bool SchemaCompiler::matches(const std::string& pattern, const std::string& name, const std::string& where) {
  return automaton(languages_.both(pattern_language(languages_, pattern, where), languages_.framed(languages_.repeat(languages_.any_char(), 0, Languages::kUnbounded))), where)->holds(name);
}

// The member `name` of an object that follows all of these.
const SchemaNode* SchemaCompiler::member_node(const Items& items, const std::string& name, const std::string& where) {
  Items of;
  for (const Item& item : items) {
    bool known = false;
    if (const Json* properties = object_of(*item.json, item.where, "properties"))
      if (const auto found = properties->find(name); found != properties->end()) {
        of.push_back({&*found, 0, item.where + ".properties." + name});
        known = true;
      }
    if (const Json* patterns = object_of(*item.json, item.where, "patternProperties"))
      for (const auto& [pattern, schema] : patterns->items()) {
        const std::string at = item.where + ".patternProperties." + pattern;
        if (!matches(pattern, name, at)) continue;
        of.push_back({&schema, 0, at});
        known = true;
      }
    if (known) continue;
    if (const Json* more = word_of(*item.json, "additionalProperties")) of.push_back({more, 0, item.where + ".additionalProperties"});
  }
  return node_of(of, where + ".properties." + name);
}

void SchemaCompiler::fill_object(SchemaNode& node, const Items& items, const std::string& where) {
  static const Json kNoValue = false;
  node.object = true;
  std::vector<std::string> names, required;
  std::set<std::string, std::less<>> known, needed;
  Items key_rules;
  for (const Item& item : items) {
    if (const Json* properties = object_of(*item.json, item.where, "properties"))
      for (const auto& [name, schema] : properties->items())
        if (known.insert(name).second) names.push_back(name);
    if (const Json* list = word_of(*item.json, "required"); list && !list->is_boolean()) {  // a boolean: draft 3's, of a member
      if (!list->is_array()) throw Error(ErrorCode::kInvalidInput, item.where + ".required", "expected a list of names");
      for (const Json& name : *list)
        if (needed.insert(text_of_word(name, item.where, "required")).second) required.push_back(name.get<std::string>());
    }
    if (const auto min = count_of(*item.json, item.where, "minProperties")) node.min_members = std::max(node.min_members, *min);
    if (const auto max = count_of(*item.json, item.where, "maxProperties")) node.max_members = std::min(node.max_members, *max);
    if (const Json* rule = word_of(*item.json, "propertyNames")) key_rules.push_back({rule, 0, item.where + ".propertyNames"});
    for (const char* word : {"additionalProperties", "unevaluatedProperties"})
      if (const Json* more = word_of(*item.json, word); more && *more == false) node.closed = node.closed || !item.json->contains("patternProperties");
    if (const Json* more = word_of(*item.json, "unevaluatedProperties"); more && !more->is_boolean() && !more->empty())
      throw Error(ErrorCode::kUnsupported, item.where + ".unevaluatedProperties", "only true and false are followed", "use additionalProperties");
  }
  const bool declares = !names.empty();
  for (const std::string& name : required)
    if (known.insert(name).second) names.push_back(name);  // it follows what is said of additional members
  // Names that are listed, by a rule for them, are members like those of `properties`.
  Term allowed = languages_.framed(languages_.repeat(languages_.any_char(), 0, Languages::kUnbounded));
  const SchemaNode* rule = nullptr;
  bool limited = false, listed = false;
  if (!key_rules.empty()) {
    static const Json kText = {{"type", "string"}};
    Items of = key_rules;
    of.push_back({&kText, 0, where + ".propertyNames"});
    const size_t before = later_.size();
    rule = node_of(of, where + ".propertyNames");
    for (size_t i = before; i < later_.size(); ++i) later_[i]();  // values of enum; the names are needed now
    later_.resize(before);
    if (rule->choices.empty() && rule->string) {
      limited = !rule->text.free();
      if (const auto term = texts_.find(rule); term != texts_.end()) allowed = languages_.both(allowed, term->second);
      if (limited) allowed = languages_.both(allowed, languages_.framed(languages_.repeat(languages_.any_char(), rule->text.min, rule->text.max == UINT32_MAX ? Languages::kUnbounded : static_cast<int64_t>(rule->text.max))));
    } else if (rule->choices.empty()) {
      listed = true;
    } else {
      throw Error(ErrorCode::kUnsupported, key_rules.front().where, "choices among rules for names are not followed", "use a pattern or an enum");
    }
  }
  bool open = false, forbidden = false;
  for (const Item& item : items) {
    const Json* more = word_of(*item.json, "additionalProperties");
    open = open || (more && *more != false) || item.json->contains("patternProperties");
    forbidden = forbidden || (more && *more == false && !item.json->contains("patternProperties"));
    if (const Json* rest = word_of(*item.json, "unevaluatedProperties"); rest && *rest == false && !more) forbidden = true;
    if (const Json* rest = word_of(*item.json, "unevaluatedProperties"); rest && *rest != false && !more) open = true;
  }
  const bool extras = !forbidden && (open || !declares);
  if (listed && extras)
    for (const std::string& literal : rule->literals) {
      const std::string name = Json::parse(literal).get<std::string>();
      if (known.insert(name).second) names.push_back(name);
    }
  for (const std::string& name : names) {
    const std::string quoted = dump(name);
    bool fits = true;
    if (listed) fits = std::binary_search(rule->literals.begin(), rule->literals.end(), quoted);
    else if (limited) fits = automaton(allowed, where + ".propertyNames")->holds(name);
    node.properties.push_back({quoted.substr(1, quoted.size() - 2), fits ? member_node(items, name, where) : node_of({{&kNoValue, 0, where + ".propertyNames"}}, where), needed.contains(name)});
  }
  if (extras && !listed) fill_extras(node, items, names, allowed, limited, where);
}

// Members without a name in the schema: one rule per set of patterns that a key may follow.
void SchemaCompiler::fill_extras(SchemaNode& node, const Items& items, const std::vector<std::string>& names, Term names_allowed, bool limited, const std::string& where) {
  struct Pattern {
    Term term;
    const Json* schema;
    size_t item;
    std::string where;
  };
  std::vector<Pattern> patterns;
  for (size_t i = 0; i < items.size(); ++i)
    if (const Json* some = object_of(*items[i].json, items[i].where, "patternProperties"))
      for (const auto& [pattern, schema] : some->items()) {
        const std::string at = items[i].where + ".patternProperties." + pattern;
        patterns.push_back({pattern_language(languages_, pattern, at), &schema, i, at});
      }
  if (patterns.size() > kMaxPatterns) throw Error(ErrorCode::kUnsupported, where + ".patternProperties", fmt::format("more than {} patterns", kMaxPatterns));
  Term others = names_allowed;
  if (limited || !patterns.empty())
    for (const std::string& name : names) others = languages_.both(others, languages_.complement(languages_.framed(languages_.text(name))));
  for (unsigned mask = 0; mask < 1u << patterns.size(); ++mask) {
    Items of;
    Term keys = others;
    bool open = mask != 0;
    for (size_t p = 0; p < patterns.size(); ++p) keys = languages_.both(keys, mask >> p & 1 ? patterns[p].term : languages_.complement(patterns[p].term));
    bool none = false;
    for (size_t i = 0; i < items.size(); ++i) {
      bool matched = false;
      for (size_t p = 0; p < patterns.size(); ++p)
        if (patterns[p].item == i && mask >> p & 1) {
          of.push_back({patterns[p].schema, 0, patterns[p].where});
          matched = true;
        }
      const Json* more = word_of(*items[i].json, "additionalProperties");
      if (matched || !more) continue;
      open = open || *more != false;
      none = none || *more == false;
      of.push_back({more, 0, items[i].where + ".additionalProperties"});
    }
    if (none || (!open && !patterns.empty())) continue;  // a schema with patterns means what it names
    SchemaExtra extra;
    if (limited || !patterns.empty()) {
      extra.keys.automaton = automaton(keys, patterns.empty() ? where + ".propertyNames" : patterns.front().where);
      if (extra.keys.automaton->start() == TextAutomaton::kDead) continue;
    }
    extra.node = node_of(of, where + ".additionalProperties");
    node.extras.push_back(std::move(extra));
  }
}

void SchemaCompiler::fill_array(SchemaNode& node, const Items& items, const std::string& where) {
  node.array = true;
  size_t first = 0;
  bool unique = false;
  // {the items by place, the others} of each.
  std::vector<std::pair<const Json*, const Json*>> parts;
  for (const Item& item : items) {
    const Json* prefix = word_of(*item.json, "prefixItems");
    const Json* rest = word_of(*item.json, "items");
    if (rest && rest->is_array()) prefix = std::exchange(rest, word_of(*item.json, "additionalItems"));  // drafts before 2020
    if (prefix && (!prefix->is_array() || prefix->size() > kMaxFirst)) throw Error(ErrorCode::kInvalidInput, item.where + ".prefixItems", fmt::format("expected a list of at most {} schemas", kMaxFirst));
    if (const Json* more = word_of(*item.json, "unevaluatedItems")) {
      if (!more->is_boolean() && !more->empty()) throw Error(ErrorCode::kUnsupported, item.where + ".unevaluatedItems", "only true and false are followed", "use items");
      if (!rest) rest = more;
    }
    parts.emplace_back(prefix, rest);
    if (prefix) first = std::max(first, prefix->size());
    if (const auto min = count_of(*item.json, item.where, "minItems")) node.min_items = std::max(node.min_items, *min);
    if (const auto max = count_of(*item.json, item.where, "maxItems")) node.max_items = std::min(node.max_items, *max);
    if (const Json* word = word_of(*item.json, "uniqueItems")) {
      if (!word->is_boolean()) throw Error(ErrorCode::kInvalidInput, item.where + ".uniqueItems", "expected true or false");
      unique = unique || word->get<bool>();
    }
  }
  bool said = false;
  for (size_t place = 0; place <= first; ++place) {
    Items of;
    for (size_t i = 0; i < items.size(); ++i) {
      const auto& [prefix, rest] = parts[i];
      if (prefix && place < prefix->size()) of.push_back({&(*prefix)[place], 0, fmt::format("{}.prefixItems[{}]", items[i].where, place)});
      else if (rest) of.push_back({rest, 0, items[i].where + ".items"});
      said = said || (rest && place == first);
    }
    if (place < first) node.first.push_back(node_of(of, fmt::format("{}.prefixItems[{}]", where, place)));
    else if (said || first == 0) node.items = node_of(of, where + ".items");
  }
  // A list whose places are described has them all, and no more, unless it says otherwise.
  bool least = false;
  for (const Item& item : items) least = least || item.json->contains("minItems");
  if (!node.items && node.min_items > first) node.items = anything();
  if (!least) node.min_items = static_cast<uint32_t>(std::min<size_t>(first, node.max_items));
  if (!unique) return;
  node.unique = true;
  later_.push_back([this, &node, where] { make_unique(node, where); });
}

}  // namespace hone::serve
