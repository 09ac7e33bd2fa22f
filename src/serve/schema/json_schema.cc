#include "serve/schema/json_schema.h"

#include "serve/schema/schema_compiler.h"

namespace hone::serve {

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
  SchemaCompiler compiler(*schema, json, where);
  schema->root_ = compiler.compile(/*object=*/false);
  compiler.finish(schema->root_);
  return schema;
}

std::shared_ptr<const Schema> Schema::of_calls(const Calls& calls) {
  auto schema = std::make_shared<Schema>();
  const auto text = [&](const std::string& literal) {
    SchemaNode* node = schema->add();
    node->literals = {literal};
    node->exact = true;
    return node;
  };
  const auto sequence = [&](std::vector<const SchemaNode*> parts) {
    SchemaNode* node = schema->add();
    node->sequence = std::move(parts);
    node->exact = true;
    return node;
  };
  SchemaNode* any = schema->add();
  any->exact = true;
  for (const Call& call : calls.any) {
    const Json object = Json::object();
    SchemaCompiler compiler(*schema, call.schema.is_null() ? object : call.schema, call.where);
    const SchemaNode* arguments = compiler.compile(/*object=*/true);
    compiler.finish(arguments);
    std::vector<const SchemaNode*> parts = {text(call.before), arguments};
    if (!call.after.empty()) parts.push_back(text(call.after));
    any->choices.push_back(sequence(std::move(parts)));
  }
  // From the last call backwards.
  const SchemaNode* tail = calls.close.empty() ? nullptr : text(calls.close);
  for (size_t call = 1; call < calls.most && tail; ++call) {
    SchemaNode* either = schema->add();
    either->exact = true;
    either->choices = {text(calls.close), sequence({text(calls.next), any, tail})};
    tail = either;
  }
  std::vector<const SchemaNode*> parts;
  if (!calls.begin.empty()) parts.push_back(text(calls.begin));
  parts.push_back(any);
  if (tail) parts.push_back(tail);
  schema->root_ = sequence(std::move(parts));
  SchemaCompiler(*schema, Json::object(), "tools").finish(schema->root_);
  return schema;
}

std::string identity_of_text(const std::string& decoded) { return "s" + decoded; }

std::string identity_of_number(Decimal value) {
  std::string text = value < 0 ? "n-" : "n";
  std::string digits;
  for (Decimal size = value < 0 ? -value : value; size > 0; size /= 10) digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(size % 10)));
  return text + digits;
}

std::string identity_of_literal(const std::string& literal) {
  if (literal.starts_with('"')) return identity_of_text(Json::parse(literal).get<std::string>());
  Decimal value = 0, down = 0, up = 0;
  if (!literal.empty() && (literal[0] == '-' || (literal[0] >= '0' && literal[0] <= '9')) && NumberRule::parse(literal, value, down, up)) return identity_of_number(value);
  return "l" + literal;
}

}  // namespace hone::serve
