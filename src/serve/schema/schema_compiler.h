// From the JSON of a schema to the nodes of json_schema.h.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "serve/schema/json_schema.h"

namespace hone::serve {

/// Several schemas that one value must follow (allOf, $ref beside other words) are merged word by word into one node. Nodes are
/// made once per such set, so that schemas may contain themselves. Some things are known only when all nodes are there; `later`
/// does them.
class SchemaCompiler {
 public:
  enum Type : unsigned { kObject = 1, kArray = 2, kInteger = 4, kFraction = 8, kBoolean = 16, kNullType = 32, kString = 64 };

  SchemaCompiler(Schema& schema, const Json& document, std::string where) : schema_(schema), document_(document), root_(std::move(where)) {}

  /// A node for the whole document; `object`: only objects of it. Complete after finish().
  const SchemaNode* compile(bool object);
  void finish(const SchemaNode* node);

 private:
  using Term = Languages::Term;
  // One of the schemas that a value must follow, and which of its words have been dealt with.
  struct Item {
    const Json* json;
    unsigned done;
    std::string where;
    std::vector<const Json*> within = {};  // schemas of whose choices it is one: it says nothing new when it leads back to them
  };
  using Items = std::vector<Item>;
  enum Done : unsigned { kFlat = 1, kAny = 2, kOne = 4, kEnum = 8, kNull = 16 };

  SchemaNode* add(const std::string& where);
  const SchemaNode* anything();
  const SchemaNode* node_of(const Items& items, const std::string& where);
  const SchemaNode* node_of_value(const Json& value, const std::string& where);
  bool flatten(const Item& item, Items& flat);
  Item target_of(const Json& reference, const std::string& where) const;

  void fill(SchemaNode& node, const Items& items, const std::string& where);
  bool fill_choices(SchemaNode& node, const Items& items, const std::string& where);
  bool fill_values(SchemaNode& node, const Items& items, const std::string& where);
  void take_values(SchemaNode& node, const SchemaNode* base, const std::vector<Json>& values, const std::string& where);
  unsigned types_of(const Items& items) const;
  void fill_number(SchemaNode& node, const Items& items, bool fractions);
  void fill_text(SchemaNode& node, const Items& items, const std::string& where);
  void fill_object(SchemaNode& node, const Items& items, const std::string& where);
  void fill_extras(SchemaNode& node, const Items& items, const std::vector<std::string>& names, Term names_allowed, bool limited, const std::string& where);
  void fill_array(SchemaNode& node, const Items& items, const std::string& where);
  const SchemaNode* member_node(const Items& items, const std::string& name, const std::string& where);
  std::shared_ptr<const TextAutomaton> automaton(Term term, const std::string& where);
  bool matches(const std::string& pattern, const std::string& name, const std::string& where);

  void hold_apart(SchemaNode& node, const std::string& where);
  bool apart(const SchemaNode& a, const SchemaNode& b, int level);
  bool objects_apart(const SchemaNode& a, const SchemaNode& b, int level);
  bool texts_apart(const SchemaNode& a, const SchemaNode& b);
  void unite_literals(SchemaNode& node);
  void make_unique(SchemaNode& node, const std::string& where);
  void measure();

  Schema& schema_;
  const Json& document_;
  const std::string root_;
  Languages languages_;
  const SchemaNode* anything_ = nullptr;
  std::map<std::vector<std::pair<const Json*, unsigned>>, const SchemaNode*> known_;
  std::map<Term, std::shared_ptr<const TextAutomaton>> automata_;
  std::map<const SchemaNode*, Term> texts_;       // of nodes with an automaton
  std::map<const SchemaNode*, std::string> empty_;  // where nothing can be written, and why
  std::vector<std::function<void()>> later_;
  std::vector<const Json*> followed_;  // references that are being followed
  size_t depth_ = 0, work_ = 0;
  std::map<std::string, const Json*> anchors_;
};

}  // namespace hone::serve
