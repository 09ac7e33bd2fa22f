// JSON schemas, compiled so that an answer can be held to them byte by byte while it is written.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "serve/api/fields.h"
#include "serve/schema/number_rule.h"
#include "serve/schema/text_rule.h"

namespace hone::serve {

struct SchemaNode;

/// A member that an object may have by name. Members come in this order.
struct SchemaProperty {
  std::string quoted;  // the key as JSON writes it, without the quotes
  const SchemaNode* node = nullptr;
  bool required = false;
};

/// Members of other names, after those.
struct SchemaExtra {
  TextRule keys;
  const SchemaNode* node = nullptr;
};

/// One place of a schema: what a value there may be.
struct SchemaNode {
  static constexpr uint32_t kMany = UINT32_MAX;

  std::vector<const SchemaNode*> choices;   // one of these instead of all below
  std::vector<const SchemaNode*> sequence;  // these one after the other, without commas, instead of all below
  std::vector<std::string> literals;        // texts of values, sorted: enum, const, true, false, null
  bool exact = false;                       // text that is no JSON: no blanks in front
  bool string = false, number = false, object = false, array = false;
  TextRule text;
  NumberRule range;

  std::vector<SchemaProperty> properties;
  std::vector<SchemaExtra> extras;  // no key belongs to two of them
  uint32_t min_members = 0, max_members = kMany;
  bool closed = false;              // the schema itself says that there are no others

  std::vector<const SchemaNode*> first;  // of an array's items, by place
  const SchemaNode* items = nullptr;     // the others; null: there are none
  uint32_t min_items = 0, max_items = kMany;
  bool unique = false;                   // items are scalars then

  // Objects and arrays that the shallowest value opens within each other, of any kind, as an object, as an array; above
  // Schema::kMaxDepth: there is no such value.
  uint32_t depth = 0, object_depth = 0, array_depth = 0;
};

class Schema {
 public:
  static constexpr uint32_t kMaxDepth = 64;

  /// Any JSON object: what "json" asks for.
  static std::shared_ptr<const Schema> any_object();
  /// docs/serve.md lists the words: computed, refused, or without effect. Throws Error{kUnsupported} naming `where` and the
  /// word's path for those that restrict answers in a way that cannot be followed, and for unknown ones; Error{kInvalidInput} for malformed ones and for schemas
  /// that no answer can follow.
  static std::shared_ptr<const Schema> parse(const Json& json, const std::string& where);

  /// Calls of tools as a model writes them: `begin`, a call, then `close`, or `next` and another call.
  struct Call {
    std::string before;  // its arguments
    Json schema;         // of them; null: any object
    std::string where;   // names the schema in errors
    std::string after;
  };
  struct Calls {
    std::string begin, next, close;  // may be empty; without `close` there is no `next`
    std::vector<Call> any;           // which of them may be called
    size_t most = 1;                 // calls of one answer
  };
  /// Throws what parse throws.
  static std::shared_ptr<const Schema> of_calls(const Calls& calls);

  const SchemaNode* root() const { return root_; }

 private:
  friend class SchemaCompiler;
  SchemaNode* add();
  std::vector<std::unique_ptr<SchemaNode>> nodes_;
  const SchemaNode* root_ = nullptr;
};

/// Texts without which two JSON strings, numbers or words count as one: {"s…", "n…", "l…"}. `literal` is a scalar's text.
std::string identity_of_literal(const std::string& literal);
std::string identity_of_text(const std::string& decoded);
std::string identity_of_number(Decimal value);

}  // namespace hone::serve
