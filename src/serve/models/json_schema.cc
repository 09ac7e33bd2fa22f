#include "serve/models/json_schema.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace hone::serve {
namespace {

constexpr size_t kMaxNodes = 4096, kMaxProperties = 64, kMaxLiterals = 1024;

const std::set<std::string>& descriptive_words() {
  static const std::set<std::string> words = {"title", "description", "default", "examples", "format", "$schema", "$id", "$defs", "definitions", "$comment", "deprecated", "readOnly", "writeOnly", "discriminator"};
  return words;
}

}  // namespace

class SchemaParser {
 public:
  SchemaParser(Schema& schema, const Json& document) : schema_(schema), document_(document) {}

  const SchemaNode* parse(const Json& json, const std::string& where) {
    if (json.is_boolean() && json.get<bool>()) return anything();
    if (!json.is_object()) invalid(where, "expected an object");
    if (json.contains("$ref")) return reference(json["$ref"], where);
    SchemaNode* node = add(where);
    fill(*node, json, where);
    return node;
  }

  // Any JSON value.
  const SchemaNode* anything() {
    if (anything_) return anything_;
    SchemaNode* node = add("schema");
    node->object = node->array = node->string = node->number = node->boolean = node->null = true;
    node->additional = node->items = node;
    return anything_ = node;
  }

 private:
  [[noreturn]] static void invalid(const std::string& where, const std::string& message) { throw Error(ErrorCode::kInvalidInput, where, message); }

  SchemaNode* add(const std::string& where) {
    if (schema_.nodes_.size() >= kMaxNodes) invalid(where, fmt::format("the schema has more than {} places", kMaxNodes));
    return schema_.add();
  }

  const SchemaNode* reference(const Json& json, const std::string& where) {
    if (!json.is_string() || !json.get_ref<const std::string&>().starts_with("#")) throw Error(ErrorCode::kUnsupported, where + ".$ref", "only references into the schema itself are followed");
    const std::string target = json.get<std::string>();
    if (const auto known = references_.find(target); known != references_.end()) return known->second;
    const Json* found = nullptr;
    try {
      found = &document_.at(Json::json_pointer(target.substr(1)));
    } catch (const Json::exception&) {
      invalid(where + ".$ref", fmt::format("{} is not there", target));
    }
    if (!found->is_object() || found->contains("$ref")) invalid(where + ".$ref", fmt::format("{} is no schema by itself", target));
    SchemaNode* node = add(where);
    references_[target] = node;  // before it is filled: schemas may contain themselves
    fill(*node, *found, target);
    return node;
  }

  void allow_type(SchemaNode& node, const Json& type, const std::string& where) {
    if (type == "object") node.object = true;
    else if (type == "array") node.array = true;
    else if (type == "string") node.string = true;
    else if (type == "number") node.number = true;
    else if (type == "integer") node.integer = true;
    else if (type == "boolean") node.boolean = true;
    else if (type == "null") node.null = true;
    else invalid(where + ".type", "expected object, array, string, number, integer, boolean or null");
  }

  void fill(SchemaNode& node, const Json& json, const std::string& where) {
    static const std::set<std::string> known = {"type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "enum", "const", "anyOf", "oneOf"};
    for (const auto& [word, value] : json.items())
      if (!known.contains(word) && !descriptive_words().contains(word))
        throw Error(ErrorCode::kUnsupported, where + "." + word, "answers cannot be held to this word of a schema", "leave it out");
    for (const char* word : {"anyOf", "oneOf"})
      if (json.contains(word)) {
        if (!json[word].is_array() || json[word].empty()) invalid(where + "." + word, "expected a list of schemas");
        for (const Json& choice : json[word]) node.choices.push_back(parse(choice, where + "." + word));
        return;
      }
    for (const char* word : {"enum", "const"})
      if (json.contains(word)) {
        const Json values = json[word].is_array() && std::string_view(word) == "enum" ? json[word] : Json::array({json[word]});
        if (values.empty() || values.size() > kMaxLiterals) invalid(where + "." + word, fmt::format("expected 1 to {} values", kMaxLiterals));
        for (const Json& value : values) node.literals.push_back(dump(value));
        return;
      }
    if (json.contains("type")) {
      for (const Json& type : json["type"].is_array() ? json["type"] : Json::array({json["type"]})) allow_type(node, type, where);
    } else if (json.contains("properties")) {
      node.object = true;
    } else if (json.contains("items")) {
      node.array = true;
    } else {
      node.object = node.array = node.string = node.number = node.boolean = node.null = true;
    }
    if (node.object) fill_object(node, json, where);
    if (node.array) {
      node.items = json.contains("items") ? parse(json["items"], where + ".items") : anything();
      const Fields fields(json, where);
      node.min_items = fields.integer("minItems", 0, 1 << 20).value_or(0);
      node.max_items = fields.integer("maxItems", 0, 1 << 20).value_or(-1);
    }
  }

  void fill_object(SchemaNode& node, const Json& json, const std::string& where) {
    if (json.contains("properties")) {
      const Json& properties = json["properties"];
      if (!properties.is_object() || properties.size() > kMaxProperties) invalid(where + ".properties", fmt::format("expected an object of at most {} properties", kMaxProperties));
      for (const auto& [key, value] : properties.items()) {
        const std::string quoted = dump(key);
        node.properties.emplace_back(quoted.substr(1, quoted.size() - 2), parse(value, where + ".properties." + key));
      }
    }
    if (json.contains("required")) {
      if (!json["required"].is_array()) invalid(where + ".required", "expected a list of names");
      for (const Json& name : json["required"]) {
        const std::string quoted = dump(name);
        const auto at = std::find_if(node.properties.begin(), node.properties.end(), [&](const auto& p) { return '"' + p.first + '"' == quoted; });
        if (at == node.properties.end()) invalid(where + ".required", fmt::format("{} is not among the properties", quoted));
        node.required |= uint64_t{1} << (at - node.properties.begin());
      }
    }
    if (json.contains("additionalProperties") && json["additionalProperties"] != false) node.additional = parse(json["additionalProperties"], where + ".additionalProperties");
    else if (node.properties.empty() && !json.contains("additionalProperties")) node.additional = anything();
  }

  Schema& schema_;
  const Json& document_;
  const SchemaNode* anything_ = nullptr;
  std::map<std::string, const SchemaNode*> references_;
};

SchemaNode* Schema::add() {
  nodes_.push_back(std::make_unique<SchemaNode>());
  return nodes_.back().get();
}

std::shared_ptr<const Schema> Schema::any_object() {
  static const std::shared_ptr<const Schema> schema = parse(Json{{"type", "object"}}, "json");
  return schema;
}

std::shared_ptr<const Schema> Schema::parse(const Json& json, const std::string& where) {
  auto schema = std::make_shared<Schema>();
  SchemaParser parser(*schema, json);
  schema->root_ = parser.parse(json, where);
  return schema;
}

}  // namespace hone::serve
