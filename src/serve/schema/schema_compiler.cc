// References, allOf, choices and values; the words of single types are in schema_types.cc.
#include "serve/schema/schema_compiler.h"

#include <algorithm>

#include "base/error.h"
#include "serve/schema/json_reader.h"
#include "serve/schema/schema_words.h"

namespace hone::serve {
namespace {

constexpr size_t kMaxSchemaNodes = 16384, kMaxMerged = 64, kMaxSchemaChoices = 256, kMaxSchemaValues = 4096, kMaxSchemaNesting = 128, kMaxMergeWork = 200'000;
constexpr unsigned kWithin = 1u << 16;  // marks a key's schemas that are not words to follow

[[noreturn]] void refuse_schema(const std::string& where, const std::string& message) { throw Error(ErrorCode::kInvalidInput, where, message); }

// JSON's "%41" of a reference is "A".
std::string percent_decoded(std::string_view text) {
  std::string out;
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

void find_anchors(const Json& json, std::map<std::string, const Json*>& anchors) {
  if (json.is_object()) {
    if (const auto at = json.find("$anchor"); at != json.end() && at->is_string()) anchors.try_emplace(at->get<std::string>(), &json);
    for (const auto& [key, value] : json.items()) find_anchors(value, anchors);
  } else if (json.is_array()) {
    for (const Json& item : json) find_anchors(item, anchors);
  }
}

}  // namespace

SchemaNode* SchemaCompiler::add(const std::string& where) {
  if (schema_.nodes_.size() >= kMaxSchemaNodes) throw Error(ErrorCode::kUnsupported, where, fmt::format("the schema has more than {} places", kMaxSchemaNodes));
  return schema_.add();
}

// Any JSON value.
const SchemaNode* SchemaCompiler::anything() {
  if (anything_) return anything_;
  SchemaNode* node = add(root_);
  anything_ = node;
  node->object = node->array = node->string = node->number = true;
  node->literals = {"false", "null", "true"};
  node->extras.push_back({{}, node});
  node->items = node;
  return node;
}

const SchemaNode* SchemaCompiler::compile(bool object) {
  static const Json kObjectSchema = {{"type", "object"}};
  find_anchors(document_, anchors_);
  Items items = {{&document_, 0, root_}};
  if (object) items.push_back({&kObjectSchema, 0, root_});
  return node_of(items, root_);
}

void SchemaCompiler::finish(const SchemaNode* node) {
  for (size_t i = 0; i < later_.size(); ++i) later_[i]();  // may add to itself
  later_.clear();
  measure();
  if (node->depth <= Schema::kMaxDepth) return;
  std::string why = "no value follows it";
  for (const auto& [place, reason] : empty_)
    if (place->depth > Schema::kMaxDepth) why = reason;
  refuse_schema(root_, "no answer can follow this schema: " + why);
}

SchemaCompiler::Item SchemaCompiler::target_of(const Json& reference, const std::string& where) const {
  if (!reference.is_string()) refuse_schema(where, "expected a text");
  std::string target = reference.get<std::string>();
  if (const auto id = document_.find("$id"); document_.is_object() && id != document_.end() && id->is_string() && !id->get_ref<const std::string&>().empty() && target.starts_with(id->get_ref<const std::string&>()))
    target = target.substr(id->get_ref<const std::string&>().size());
  if (target.empty()) target = "#";
  if (target[0] != '#') throw Error(ErrorCode::kUnsupported, where, "only references into the schema itself are followed", "put what it refers to into $defs");
  const std::string pointer = percent_decoded(std::string_view(target).substr(1));
  if (!pointer.empty() && pointer[0] != '/') {
    const auto anchor = anchors_.find(pointer);
    if (anchor == anchors_.end()) refuse_schema(where, fmt::format("{} is not there", target));
    return {anchor->second, 0, root_ + "#" + pointer};
  }
  const Json* found = nullptr;
  try {
    found = &document_.at(Json::json_pointer(pointer));
  } catch (const Json::exception&) {
    refuse_schema(where, fmt::format("{} is not there", target));
  }
  std::string path = root_;
  for (const char c : pointer) path += c == '/' ? '.' : c;
  return {found, 0, path};
}

// False: nothing follows all of these.
bool SchemaCompiler::flatten(const Item& item, Items& flat) {
  if (++work_ > kMaxMergeWork) throw Error(ErrorCode::kUnsupported, item.where, "the schema refers to itself in too many ways");
  const Json& json = *item.json;
  if (json.is_boolean()) return json.get<bool>();
  if (!json.is_object()) refuse_schema(item.where, "expected a schema: an object, true or false");
  if (std::find(item.within.begin(), item.within.end(), item.json) != item.within.end()) return false;
  if (std::any_of(flat.begin(), flat.end(), [&](const Item& one) { return one.json == item.json; })) return true;
  if (flat.size() >= kMaxMerged) throw Error(ErrorCode::kUnsupported, item.where, fmt::format("more than {} schemas would have to hold for one value", kMaxMerged));
  flat.push_back({item.json, item.done | kFlat, item.where, item.within});
  if (item.done & kFlat) return true;
  check_words(json, item.where);
  if (const auto reference = json.find("$ref"); reference != json.end()) {
    Item target = target_of(*reference, item.where + ".$ref");
    target.within = item.within;
    if (target.json == item.json || std::find(followed_.begin(), followed_.end(), target.json) != followed_.end()) refuse_schema(item.where + ".$ref", "it leads back to itself and says nothing");
    followed_.push_back(item.json);
    const bool some = flatten(target, flat);
    followed_.pop_back();
    if (!some) return false;
  }
  if (const auto all = json.find("allOf"); all != json.end()) {
    if (!all->is_array() || all->empty()) refuse_schema(item.where + ".allOf", "expected a list of schemas");
    for (size_t i = 0; i < all->size(); ++i)
      if (!flatten({&(*all)[i], 0, fmt::format("{}.allOf[{}]", item.where, i), item.within}, flat)) return false;
  }
  return true;
}

const SchemaNode* SchemaCompiler::node_of(const Items& items, const std::string& where) {
  Items flat;
  bool some = true;
  for (const Item& item : items) some = some && flatten(item, flat);
  if (some && flat.empty()) return anything();
  std::vector<std::pair<const Json*, unsigned>> key;
  if (some)
    for (const Item& item : flat) {
      key.emplace_back(item.json, item.done);
      for (const Json* outer : item.within) key.emplace_back(outer, kWithin);
    }
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  SchemaNode* node = add(where);
  known_[key] = node;  // before it is filled: schemas may contain themselves
  if (!some) {
    empty_[node] = where + " is false";
    return node;
  }
  if (++depth_ > kMaxSchemaNesting) throw Error(ErrorCode::kUnsupported, where, "schemas nest too deeply");
  fill(*node, flat, where);
  --depth_;
  return node;
}

void SchemaCompiler::fill(SchemaNode& node, const Items& items, const std::string& where) {
  if (fill_choices(node, items, where) || fill_values(node, items, where)) return;
  const unsigned types = types_of(items);
  if (types == 0) empty_[&node] = where + " asks for types that exclude each other";
  if (types & kBoolean) node.literals.insert(node.literals.end(), {"false", "true"});
  if (types & kNullType) node.literals.emplace_back("null");
  std::sort(node.literals.begin(), node.literals.end());
  if (types & (kInteger | kFraction)) fill_number(node, items, (types & kFraction) != 0);
  if (types & kString) fill_text(node, items, where);
  if (types & kObject) fill_object(node, items, where);
  if (types & kArray) fill_array(node, items, where);
}

bool SchemaCompiler::fill_choices(SchemaNode& node, const Items& items, const std::string& where) {
  static const Json kNullSchema = {{"type", "null"}};
  for (size_t i = 0; i < items.size(); ++i) {
    const Json& json = *items[i].json;
    if (const auto nullable = json.find("nullable"); nullable != json.end() && !(items[i].done & kNull)) {
      if (!nullable->is_boolean()) refuse_schema(items[i].where + ".nullable", "expected true or false");
      Items value = items, null = items;
      value[i].done |= kNull;
      null[i] = {&kNullSchema, 0, items[i].where};
      if (!nullable->get<bool>()) node.choices = {node_of(value, where)};
      else node.choices = {node_of(value, where), node_of(null, where)};
      later_.push_back([this, &node] { unite_literals(node); });
      return true;
    }
    for (const auto& [word, done] : {std::pair("anyOf", kAny), std::pair("oneOf", kOne)}) {
      const auto choices = json.find(word);
      if (choices == json.end() || items[i].done & done) continue;
      const std::string place = items[i].where + "." + word;
      if (!choices->is_array() || choices->empty()) refuse_schema(place, "expected a list of schemas");
      if (choices->size() > kMaxSchemaChoices) throw Error(ErrorCode::kUnsupported, place, fmt::format("more than {} choices", kMaxSchemaChoices));
      Items rest = items;
      rest[i].done |= done;
      for (size_t c = 0; c < choices->size(); ++c) {
        Items one = rest;
        const std::string at = fmt::format("{}[{}]", place, c);
        one.push_back({&(*choices)[c], 0, at, items[i].within});
        one.back().within.push_back(items[i].json);
        node.choices.push_back(node_of(one, at));
      }
      const bool exactly = done == kOne;
      later_.push_back([this, &node, place, exactly] {
        if (exactly) hold_apart(node, place);
        unite_literals(node);
      });
      return true;
    }
  }
  return false;
}

bool SchemaCompiler::fill_values(SchemaNode& node, const Items& items, const std::string& where) {
  std::vector<Json> values;
  bool any = false;
  Items rest = items;
  for (size_t i = 0; i < items.size(); ++i) {
    for (const char* word : {"enum", "const"}) {
      const auto found = items[i].json->find(word);
      if (found == items[i].json->end() || items[i].done & kEnum) continue;
      rest[i].done |= kEnum;
      const bool list = std::string_view(word) == "enum";
      if (list && (!found->is_array() || found->empty() || found->size() > kMaxSchemaValues)) refuse_schema(items[i].where + ".enum", fmt::format("expected 1 to {} values", kMaxSchemaValues));
      const std::vector<Json> these = list ? std::vector<Json>(found->begin(), found->end()) : std::vector<Json>{*found};
      if (!any) values = these;
      else std::erase_if(values, [&](const Json& value) { return std::find(these.begin(), these.end(), value) == these.end(); });
      any = true;
    }
  }
  if (!any) return false;
  // What stands beside them takes values out.
  bool restricted = false;
  for (const Item& item : items)
    for (const auto& [word, value] : item.json->items()) {
      static const std::set<std::string, std::less<>> kBeside = {"enum", "const", "$ref", "allOf", "anyOf", "oneOf", "nullable", "title", "description", "default", "examples", "example", "$defs", "definitions", "$schema", "$id", "$comment", "deprecated", "readOnly", "writeOnly"};
      restricted = restricted || (!kBeside.contains(word) && !word.starts_with("x-"));
    }
  const SchemaNode* base = restricted ? node_of(rest, where) : nullptr;
  later_.push_back([this, &node, base, values, where] { take_values(node, base, values, where); });
  return true;
}

void SchemaCompiler::take_values(SchemaNode& node, const SchemaNode* base, const std::vector<Json>& values, const std::string& where) {
  for (const Json& value : values) {
    const std::string text = dump(value);
    if (base) {
      JsonReader reader(base);
      const bool fits = std::all_of(text.begin(), text.end(), [&](char c) { return reader.push(static_cast<unsigned char>(c)); });
      if (!fits || !reader.complete()) continue;
    }
    if (value.is_structured()) node.choices.push_back(node_of_value(value, where));
    else node.literals.push_back(text);
  }
  std::sort(node.literals.begin(), node.literals.end());
  node.literals.erase(std::unique(node.literals.begin(), node.literals.end()), node.literals.end());
  if (node.choices.empty()) {
    if (node.literals.empty()) empty_[&node] = fmt::format("{}: none of the values follows the words beside them", where);
    return;
  }
  if (node.literals.empty()) return;
  SchemaNode* scalars = add(where);
  scalars->literals = std::move(node.literals);
  node.literals.clear();
  node.choices.push_back(scalars);
}

// A value of enum or const, blanks between its parts as everywhere.
const SchemaNode* SchemaCompiler::node_of_value(const Json& value, const std::string& where) {
  SchemaNode* node = add(where);
  if (value.is_object()) {
    node->object = true;
    for (const auto& [key, member] : value.items()) {
      const std::string quoted = dump(key);
      node->properties.push_back({quoted.substr(1, quoted.size() - 2), node_of_value(member, where), /*required=*/true});
    }
  } else if (value.is_array()) {
    node->array = true;
    for (const Json& item : value) node->first.push_back(node_of_value(item, where));
    node->min_items = node->max_items = static_cast<uint32_t>(value.size());
  } else {
    node->literals = {dump(value)};
  }
  return node;
}

}  // namespace hone::serve
