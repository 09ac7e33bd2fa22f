#include "serve/schema/schema_words.h"

#include <map>
#include <set>

#include "base/error.h"

namespace hone::serve {
namespace {

const std::set<std::string, std::less<>>& computed() {
  static const std::set<std::string, std::less<>> words = {
      "$ref",      "allOf",     "anyOf",       "oneOf",       "type",     "enum",        "const",           "nullable",         "properties",       "required",         "additionalProperties",  "patternProperties",
      "propertyNames", "minProperties", "maxProperties", "unevaluatedProperties", "items",  "prefixItems", "additionalItems", "unevaluatedItems", "minItems", "maxItems", "uniqueItems",
      "minLength", "maxLength", "pattern",     "format",      "minimum",  "maximum",     "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};
  return words;
}

// They say what a value means, or hold schemas that others refer to.
const std::set<std::string, std::less<>>& without_effect() {
  static const std::set<std::string, std::less<>> words = {
      "title",   "description", "default",  "examples",         "example",          "deprecated",    "readOnly",      "writeOnly", "$schema",      "$id",     "id",          "$comment", "$anchor", "$defs",
      "definitions", "$vocabulary", "discriminator", "contentEncoding", "contentMediaType", "contentSchema", "xml", "externalDocs", "markdownDescription", "enumDescriptions", "enumNames", "errorMessage", "$dynamicAnchor", "tsType"};
  return words;
}

const std::map<std::string, const char*, std::less<>>& refused() {
  static const std::map<std::string, const char*, std::less<>> words = {
      {"not", "what a value must not be is known only when it is whole"},
      {"if", "conditions are known only when the value is whole"},
      {"then", "conditions are known only when the value is whole"},
      {"else", "conditions are known only when the value is whole"},
      {"contains", "items that some place must hold are not followed"},
      {"minContains", "items that some place must hold are not followed"},
      {"maxContains", "items that some place must hold are not followed"},
      {"dependentRequired", "members that depend on others are not followed"},
      {"dependentSchemas", "members that depend on others are not followed"},
      {"dependencies", "members that depend on others are not followed"},
      {"$dynamicRef", "only $ref is followed"},
      {"$recursiveRef", "only $ref is followed"}};
  return words;
}

}  // namespace

void check_words(const Json& schema, const std::string& where) {
  for (const auto& [word, value] : schema.items()) {
    if (computed().contains(word) || without_effect().contains(word) || word.starts_with("x-")) continue;
    if (const auto known = refused().find(word); known != refused().end())
      throw Error(ErrorCode::kUnsupported, where + "." + word, fmt::format("answers cannot be held to this word of a schema: {}", known->second), "leave it out, or say it with anyOf");
    throw Error(ErrorCode::kUnsupported, where + "." + word, "this is no known word of a JSON schema", "leave it out, or begin its name with x- where it is meant for others");
  }
}

}  // namespace hone::serve
