// What is known of nodes only when all are there: whether choices exclude each other, whether items can differ, how deep values are.
#include <algorithm>

#include "base/error.h"
#include "serve/schema/schema_compiler.h"

namespace hone::serve {
namespace {

constexpr int kMaxApart = 8;
constexpr size_t kMaxExclusive = 64;
constexpr uint32_t kNever = Schema::kMaxDepth + 1;

bool only_literals(const SchemaNode& node) {
  return !node.literals.empty() && node.choices.empty() && node.sequence.empty() && !node.string && !node.number && !node.object && !node.array;
}

bool only_object(const SchemaNode& node) { return node.object && node.choices.empty() && node.literals.empty() && !node.string && !node.number && !node.array; }

const SchemaProperty* property_of(const SchemaNode& node, const std::string& quoted) {
  const auto at = std::find_if(node.properties.begin(), node.properties.end(), [&](const SchemaProperty& property) { return property.quoted == quoted; });
  return at == node.properties.end() ? nullptr : &*at;
}

bool holds_number(const SchemaNode& node, const std::string& literal) {
  Decimal value = 0, down = 0, up = 0;
  if (!node.number) return false;
  if (!NumberRule::parse(literal, value, down, up)) return true;  // perhaps
  return value >= node.range.low && value <= node.range.high && (node.range.step == 0 || value % node.range.step == 0) && (node.range.fractions || value % NumberRule::kUnit == 0);
}

bool holds_text(const TextRule& rule, const std::string& literal) { return rule.holds(Json::parse(literal).get<std::string>()); }

}  // namespace

// Choices of literals only become one list of them.
void SchemaCompiler::unite_literals(SchemaNode& node) {
  if (node.choices.empty() || !std::all_of(node.choices.begin(), node.choices.end(), [](const SchemaNode* choice) { return only_literals(*choice); })) return;
  for (const SchemaNode* choice : node.choices) node.literals.insert(node.literals.end(), choice->literals.begin(), choice->literals.end());
  std::sort(node.literals.begin(), node.literals.end());
  node.literals.erase(std::unique(node.literals.begin(), node.literals.end()), node.literals.end());
  node.choices.clear();
}

bool SchemaCompiler::texts_apart(const SchemaNode& a, const SchemaNode& b) {
  if (a.text.automaton && b.text.automaton) return automaton(languages_.both(texts_.at(&a), texts_.at(&b)), root_)->start() == TextAutomaton::kDead;
  const auto apart_lengths = [](const TextRule& x, const TextRule& y) { return x.max < y.min; };
  return !a.text.automaton && !b.text.automaton && (apart_lengths(a.text, b.text) || apart_lengths(b.text, a.text));
}

bool SchemaCompiler::objects_apart(const SchemaNode& a, const SchemaNode& b, int level) {
  for (const SchemaProperty& property : a.properties) {
    if (!property.required) continue;
    const SchemaProperty* other = property_of(b, property.quoted);
    if (other ? apart(*property.node, *other->node, level + 1) : b.closed && b.extras.empty()) return true;
  }
  return a.extras.empty() && std::any_of(b.properties.begin(), b.properties.end(), [&](const SchemaProperty& property) { return property.required && !property_of(a, property.quoted); });
}

// No value that is written for `a` follows `b`. False where it cannot be told.
bool SchemaCompiler::apart(const SchemaNode& a, const SchemaNode& b, int level) {
  if (level > kMaxApart || ++work_ > 2'000'000) return false;
  if (!a.choices.empty()) return std::all_of(a.choices.begin(), a.choices.end(), [&](const SchemaNode* choice) { return apart(*choice, b, level + 1); });
  if (!b.choices.empty()) return std::all_of(b.choices.begin(), b.choices.end(), [&](const SchemaNode* choice) { return apart(a, *choice, level + 1); });
  const auto meets = [](const std::string& literal, const SchemaNode& node) {
    const bool text = literal.starts_with('"'), number = !text && literal[0] != 't' && literal[0] != 'f' && literal[0] != 'n';
    return (text && node.string && holds_text(node.text, literal)) || (number && holds_number(node, literal));
  };
  std::set<std::string> identities;
  for (const std::string& literal : a.literals) {
    if (meets(literal, b)) return false;
    identities.insert(identity_of_literal(literal));
  }
  for (const std::string& literal : b.literals)
    if (meets(literal, a) || identities.contains(identity_of_literal(literal))) return false;
  if (a.string && b.string && !texts_apart(a, b)) return false;
  if (a.number && b.number && a.range.low <= b.range.high && b.range.low <= a.range.high) return false;
  if (a.object && b.object && !objects_apart(a, b, level)) return false;
  if (a.array && b.array && !(a.max_items < b.min_items || b.max_items < a.min_items)) return false;
  return true;
}

// oneOf: a value must follow exactly one. Members that tell the choices apart are asked for where the schema does not.
void SchemaCompiler::hold_apart(SchemaNode& node, const std::string& where) {
  auto& choices = node.choices;
  if (choices.size() > kMaxExclusive && !std::all_of(choices.begin(), choices.end(), [](const SchemaNode* choice) { return only_literals(*choice); }))
    throw Error(ErrorCode::kUnsupported, where, fmt::format("more than {} choices that must exclude each other", kMaxExclusive), "use anyOf");
  const auto overlap = [&]() -> std::optional<std::pair<size_t, size_t>> {
    for (size_t i = 0; i < choices.size(); ++i)
      for (size_t j = 0; j < choices.size(); ++j)
        if (i != j && !apart(*choices[i], *choices[j], 0)) return std::pair(i, j);
    return std::nullopt;
  };
  const auto found = overlap();
  if (!found) return;
  if (std::all_of(choices.begin(), choices.end(), [](const SchemaNode* choice) { return only_object(*choice); })) {
    for (const SchemaProperty& candidate : choices[0]->properties) {
      if (!std::all_of(choices.begin(), choices.end(), [&](const SchemaNode* choice) { return property_of(*choice, candidate.quoted) != nullptr; })) continue;
      const auto before = choices;
      for (const SchemaNode*& choice : choices) {
        SchemaNode* one = add(where);
        *one = *choice;
        std::find_if(one->properties.begin(), one->properties.end(), [&](const SchemaProperty& property) { return property.quoted == candidate.quoted; })->required = true;
        choice = one;
      }
      if (!overlap()) return;
      choices = before;
    }
  }
  throw Error(ErrorCode::kUnsupported, where, fmt::format("a value could follow both choice {} and choice {}, where exactly one is asked for", std::min(found->first, found->second), std::max(found->first, found->second)),
              "use anyOf, or give each choice a member with a value of its own (const)");
}

// Items of a list that must differ become one node of scalars: how many are left can be counted.
void SchemaCompiler::make_unique(SchemaNode& node, const std::string& where) {
  if (!node.items && node.first.empty()) return;
  const auto refuse = [&](const char* reason) { throw Error(ErrorCode::kUnsupported, where + ".uniqueItems", reason, "leave it out"); };
  if (!node.first.empty()) refuse("lists whose places are described cannot be held to different items");
  SchemaNode* one = add(where);
  std::vector<const SchemaNode*> open = {node.items}, seen;
  while (!open.empty()) {
    const SchemaNode* at = open.back();
    open.pop_back();
    if (std::find(seen.begin(), seen.end(), at) != seen.end()) continue;
    seen.push_back(at);
    if (at->object || at->array || !at->sequence.empty()) refuse("only lists of texts, numbers, true, false and null can be held to different items");
    if ((at->string && one->string) || (at->number && one->number)) refuse("several kinds of texts or of numbers in one list cannot be held to different items");
    open.insert(open.end(), at->choices.begin(), at->choices.end());
    one->literals.insert(one->literals.end(), at->literals.begin(), at->literals.end());
    if (at->string) one->string = true, one->text = at->text;
    if (at->number) one->number = true, one->range = at->range, one->range.free = false;
  }
  std::sort(one->literals.begin(), one->literals.end());
  one->literals.erase(std::unique(one->literals.begin(), one->literals.end()), one->literals.end());
  // Each value once: 1 and 1.0 are one, and a literal that the other rules hold as well is theirs.
  std::set<std::string> identities;
  std::erase_if(one->literals, [&](const std::string& literal) {
    const bool text = literal.starts_with('"'), number = !text && literal != "true" && literal != "false" && literal != "null";
    return !identities.insert(identity_of_literal(literal)).second || (text && one->string && holds_text(one->text, literal)) || (number && holds_number(*one, literal));
  });
  for (const std::string& literal : one->literals)
    if (one->string && literal.starts_with('"')) refuse("named texts beside a kind of texts cannot be held to different items");
  node.items = one;
  const uint64_t values = one->literals.size() + (one->string ? one->text.texts(one->text.begin()) : 0) + (one->number ? one->range.count({}) : 0);
  node.max_items = static_cast<uint32_t>(std::min<uint64_t>(node.max_items, values));
}

// The least depth of each node, until nothing changes any more.
void SchemaCompiler::measure() {
  for (const auto& node : schema_.nodes_) node->depth = node->object_depth = node->array_depth = kNever;
  const auto deeper = [](uint32_t depth) { return std::min(depth + 1, kNever); };
  const auto object = [&](const SchemaNode& node) {
    uint32_t most = 0, needed = 0;
    std::vector<uint32_t> others;
    for (const SchemaProperty& property : node.properties) {
      if (property.required) most = std::max(most, property.node->depth), ++needed;
      else if (property.node->depth < kNever) others.push_back(property.node->depth);
    }
    if (needed > node.max_members || node.min_members > node.max_members) return kNever;
    if (node.min_members <= needed) return deeper(most);
    uint64_t missing = node.min_members - needed, more = 0;
    uint32_t extra = kNever;
    for (const SchemaExtra& rule : node.extras)
      if (rule.node->depth < kNever) {
        extra = std::min(extra, rule.node->depth);
        more += rule.keys.texts(rule.keys.begin());
      }
    std::sort(others.begin(), others.end());
    for (const uint32_t depth : others)
      if (missing > 0) most = std::max(most, depth), --missing;
    if (missing > more) return kNever;
    return deeper(missing > 0 ? std::max(most, extra) : most);
  };
  const auto array = [&](const SchemaNode& node) {
    if (node.min_items > node.max_items) return kNever;
    uint32_t most = 0;
    for (uint32_t i = 0; i < std::min<uint64_t>(node.min_items, node.first.size()); ++i) most = std::max(most, node.first[i]->depth);
    if (node.min_items > node.first.size()) most = node.items ? std::max(most, node.items->depth) : kNever;
    return deeper(most);
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& node : schema_.nodes_) {
      uint32_t depth = kNever;
      if (!node->sequence.empty()) {
        depth = 0;
        for (const SchemaNode* part : node->sequence) depth = std::max(depth, part->depth);
      } else if (!node->choices.empty()) {
        for (const SchemaNode* choice : node->choices) depth = std::min(depth, choice->depth);
      } else {
        if (!node->literals.empty() || node->string || node->number) depth = 0;
        if (node->object) node->object_depth = object(*node);
        if (node->array) node->array_depth = array(*node);
        depth = std::min({depth, node->object_depth, node->array_depth});
      }
      changed = changed || depth < node->depth;
      node->depth = std::min(node->depth, depth);
    }
  }
}

}  // namespace hone::serve
