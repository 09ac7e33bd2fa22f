#include "serve/schema/json_reader.h"

#include <algorithm>

namespace hone::serve {
namespace {

constexpr uint8_t kMaxBlanks = 32;
constexpr size_t kMaxReadings = 64, kMaxTried = 512;

bool is_json_blank(unsigned char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

bool in_unique_array(const auto& state) { return state.frame && state.frame->kind == std::decay_t<decltype(*state.frame)>::Kind::kArray && state.frame->node->unique; }

}  // namespace

JsonReader::JsonReader(const SchemaNode* root) {
  State state;
  state.node = root;
  states_.push_back(std::move(state));
}

bool JsonReader::complete() const {
  return std::any_of(states_.begin(), states_.end(), [](const State& s) {
    if (s.frame) return false;
    return s.mode == Mode::kDone || (s.mode == Mode::kNumber && s.node->range.complete(s.number, {}));
  });
}

JsonReader::Text JsonReader::text() const {
  Text best;
  for (const State& s : states_) {
    const TextRule* rule = s.mode == Mode::kString ? &s.node->text : s.mode == Mode::kExtraKey ? &s.extra->keys : nullptr;
    if (!rule || !s.cursor.between()) continue;
    const bool alone = states_.size() == 1 && !(s.mode == Mode::kExtraKey && rule->automaton) && !(s.mode == Mode::kString && in_unique_array(s));
    if (!alone && !rule->free()) continue;
    best = {rule, s.cursor, alone};
    if (rule->free()) break;
  }
  return best;
}

bool JsonReader::push(unsigned char byte) {
  States next;
  for (State& state : states_) advance(std::move(state), byte, next);
  if (next.size() > kMaxReadings) next.resize(kMaxReadings);
  states_ = std::move(next);
  return !states_.empty();
}

// ---- What may come

// The value can end within Schema::kMaxDepth.
bool JsonReader::fits(const SchemaNode& node, const State& state) {
  return (state.frame ? state.frame->depth : 0) + node.depth <= Schema::kMaxDepth;
}

bool JsonReader::may_member(const Frame& frame, size_t property) {
  const auto& properties = frame.node->properties;
  if (frame.depth + properties[property].node->depth > Schema::kMaxDepth) return false;
  if (frame.members + 1 > frame.node->max_members) return false;
  if (frame.node->max_members == SchemaNode::kMany && frame.node->min_members == 0) return true;
  uint64_t needed = 0, possible = 0;
  for (size_t i = property + 1; i < properties.size(); ++i) {
    needed += properties[i].required;
    possible += frame.depth + properties[i].node->depth <= Schema::kMaxDepth;
  }
  for (const SchemaExtra& extra : frame.node->extras) possible += extra.keys.texts(extra.keys.begin());
  return frame.members + 1 + needed <= frame.node->max_members && frame.members + 1 + possible >= frame.node->min_members;
}

bool JsonReader::may_extra(const Frame& frame, const SchemaExtra& extra) {
  if (frame.members >= frame.node->max_members || frame.depth + extra.node->depth > Schema::kMaxDepth) return false;
  if (keys_left(frame, extra) == 0) return false;
  if (frame.members + 1 >= frame.node->min_members) return true;
  uint64_t left = 0;  // named members cannot come any more
  for (const SchemaExtra& one : frame.node->extras) left += keys_left(frame, one);
  return frame.members + left >= frame.node->min_members;
}

uint64_t JsonReader::keys_left(const Frame& frame, const SchemaExtra& extra) {
  const uint64_t texts = extra.keys.texts(extra.keys.begin());
  if (texts == TextAutomaton::kMany) return texts;
  uint64_t gone = 0;
  for (const Used* one = frame.used.get(); one; one = one->before.get()) gone += extra.keys.automaton && extra.keys.automaton->holds(std::string_view(one->identity).substr(1));
  return texts - std::min(texts, gone);
}

// Another member.
bool JsonReader::may_more(const Frame& frame) {
  const auto& properties = frame.node->properties;
  for (size_t i = frame.place; i < properties.size(); ++i) {
    if (may_member(frame, i)) return true;
    if (properties[i].required) return false;
  }
  return std::any_of(frame.node->extras.begin(), frame.node->extras.end(), [&](const SchemaExtra& extra) { return may_extra(frame, extra); });
}

const SchemaNode* JsonReader::item_node(const Frame& frame) {
  return frame.place < frame.node->first.size() ? frame.node->first[frame.place] : frame.node->items;
}

bool JsonReader::may_item(const Frame& frame) {
  if (frame.place >= frame.node->max_items) return false;  // of items that must differ, no more than there are
  const SchemaNode* node = item_node(frame);
  return node && frame.depth + node->depth <= Schema::kMaxDepth;
}

bool JsonReader::is_used(const std::shared_ptr<const Used>& used, const std::string& identity) {
  for (const Used* one = used.get(); one; one = one->before.get())
    if (one->identity == identity) return true;
  return false;
}

uint64_t JsonReader::used_texts(const std::shared_ptr<const Used>& used, const std::string& prefix) {
  uint64_t count = 0;
  for (const Used* one = used.get(); one; one = one->before.get()) count += one->identity[0] == 's' && std::string_view(one->identity).substr(1).starts_with(prefix);
  return count;
}

std::vector<Decimal> JsonReader::used_numbers(const State& s) {
  std::vector<Decimal> numbers;
  if (!in_unique_array(s)) return numbers;
  for (const Used* one = s.frame->used.get(); one; one = one->before.get()) {
    if (one->identity[0] != 'n') continue;
    Decimal value = 0;
    for (const char c : one->identity)
      if (c >= '0' && c <= '9') value = value * 10 + (c - '0');
    numbers.push_back(one->identity[1] == '-' ? -value : value);
  }
  return numbers;
}

// One of the literals that begin with what has been read has not been used.
bool JsonReader::literal_left(const State& s) {
  if (!in_unique_array(s) || !s.frame->used) return true;
  for (uint32_t i = s.first; i < s.last; ++i)
    if (!is_used(s.frame->used, identity_of_literal(s.node->literals[i]))) return true;
  return false;
}

// ---- Values

// A value is over: what its container wants next.
void JsonReader::end_value(State s, const std::string& identity, States& out) const {
  s.blanks = 0;
  s.text.clear();
  if (!s.frame) {
    s.mode = Mode::kDone;
    return out.push_back(std::move(s));
  }
  switch (s.frame->kind) {
    case Frame::Kind::kObject: s.mode = Mode::kObjectNext; break;
    case Frame::Kind::kArray:
      s.mode = Mode::kArrayNext;
      if (s.frame->node->unique) {
        auto frame = std::make_shared<Frame>(*s.frame);
        frame->used = std::make_shared<const Used>(Used{identity, frame->used});
        s.frame = std::move(frame);
      }
      break;
    case Frame::Kind::kSequence: {
      const auto& parts = s.frame->node->sequence;
      if (s.frame->place >= parts.size()) {
        s.frame = s.frame->outer;
        return end_value(std::move(s), identity, out);
      }
      auto frame = std::make_shared<Frame>(*s.frame);
      s.node = parts[frame->place++];
      s.frame = std::move(frame);
      s.mode = Mode::kValue;
      break;
    }
  }
  out.push_back(std::move(s));
}

// Tries each choice once, however often choices lead back to themselves.
void JsonReader::begin_value(State s, unsigned char c, States& out) const {
  s.blanks = 0;
  if (s.node->choices.empty()) return begin_plain(std::move(s), c, out);
  std::vector<const SchemaNode*> tried = {s.node};
  for (size_t i = 0; i < tried.size() && tried.size() < kMaxTried; ++i) {
    if (tried[i]->choices.empty()) {
      State branch = s;
      branch.node = tried[i];
      begin_plain(std::move(branch), c, out);
      continue;
    }
    for (const SchemaNode* choice : tried[i]->choices)
      if (fits(*choice, s) && std::find(tried.begin(), tried.end(), choice) == tried.end()) tried.push_back(choice);
  }
}

void JsonReader::begin_plain(State s, unsigned char c, States& out) const {
  const SchemaNode& node = *s.node;
  const uint32_t depth = s.frame ? s.frame->depth : 0;
  if (!node.sequence.empty()) {
    auto frame = std::make_shared<Frame>(Frame{Frame::Kind::kSequence, &node, s.frame, depth, 1, 0, nullptr});
    s.frame = std::move(frame);
    s.node = node.sequence[0];
    return begin_value(std::move(s), c, out);
  }
  if (!node.literals.empty()) {
    State literal = s;
    literal.mode = Mode::kLiteral;
    literal.first = literal.size = 0;
    literal.last = static_cast<uint32_t>(node.literals.size());
    step_literal(std::move(literal), c, out);
  }
  if (c == '"' && node.string) {
    State string = s;
    string.mode = Mode::kString;
    string.cursor = node.text.begin();
    string.text.clear();
    if (!in_unique_array(s) || node.text.texts(string.cursor) > used_texts(s.frame->used, "")) out.push_back(std::move(string));
  } else if (node.number && (c == '-' || (c >= '0' && c <= '9'))) {
    State number = s;
    number.mode = Mode::kNumber;
    number.number = {};
    if (node.range.push(number.number, c, used_numbers(s))) out.push_back(std::move(number));
  } else if ((c == '{' && node.object && depth + node.object_depth <= Schema::kMaxDepth) || (c == '[' && node.array && depth + node.array_depth <= Schema::kMaxDepth)) {
    s.frame = std::make_shared<Frame>(Frame{c == '{' ? Frame::Kind::kObject : Frame::Kind::kArray, &node, s.frame, depth + 1, 0, 0, nullptr});
    s.mode = c == '{' ? Mode::kObjectStart : Mode::kArrayStart;
    out.push_back(std::move(s));
  }
}

void JsonReader::step_literal(State s, unsigned char c, States& out) const {
  // Literals are sorted: those that go on with this byte stand together.
  const auto& literals = s.node->literals;
  const auto begin = literals.begin() + s.first, end = literals.begin() + s.last;
  const size_t at = s.size;
  const auto low = std::partition_point(begin, end, [&](const std::string& l) { return l.size() <= at || static_cast<unsigned char>(l[at]) < c; });
  const auto high = std::partition_point(low, end, [&](const std::string& l) { return static_cast<unsigned char>(l[at]) <= c; });
  if (low == high) return;
  s.first = static_cast<uint32_t>(low - literals.begin());
  s.last = static_cast<uint32_t>(high - literals.begin());
  ++s.size;
  if (!literal_left(s)) return;
  const std::string& shortest = *low;
  if (shortest.size() == s.size) {
    const std::string identity = in_unique_array(s) ? identity_of_literal(shortest) : std::string();
    if (!in_unique_array(s) || !is_used(s.frame->used, identity)) end_value(s, identity, out);
    if (++s.first == s.last) return;
    if (!literal_left(s)) return;
  }
  out.push_back(std::move(s));
}

void JsonReader::step_string(State s, unsigned char c, States& out) const {
  const TextRule& rule = s.node->text;
  const bool unique = in_unique_array(s);
  const auto step = rule.step(s.cursor, c, unique ? &s.text : nullptr);
  if (step == TextRule::Step::kRefused) return;
  if (!unique) return step == TextRule::Step::kEnd ? end_value(std::move(s), "", out) : out.push_back(std::move(s));
  const std::string identity = identity_of_text(s.text);
  if (step == TextRule::Step::kEnd) {
    if (!is_used(s.frame->used, identity)) end_value(std::move(s), identity, out);
    return;
  }
  if (s.cursor.between() && rule.texts(s.cursor) <= used_texts(s.frame->used, s.text)) return;
  out.push_back(std::move(s));
}

void JsonReader::step_number(State s, unsigned char c, States& out) const {
  const std::vector<Decimal> used = used_numbers(s);
  State longer = s;
  if (s.node->range.push(longer.number, c, used)) return out.push_back(std::move(longer));
  if (!s.node->range.complete(s.number, used)) return;
  const std::string identity = in_unique_array(s) ? identity_of_number(NumberRule::value(s.number)) : std::string();
  States after;
  end_value(std::move(s), identity, after);
  for (State& state : after) advance(std::move(state), c, out);
}

// ---- Objects and arrays

// Behind the opening quote of a key: one of the named members, or another one.
void JsonReader::begin_member(const State& s, States& out) const {
  const Frame& frame = *s.frame;
  const auto& properties = frame.node->properties;
  bool named = false, ended = false;
  for (size_t i = frame.place; i < properties.size() && !named && !ended; ++i) {
    named = may_member(frame, i);
    ended = properties[i].required;
  }
  if (named) {
    State key = s;
    key.mode = Mode::kKey;
    key.text.clear();
    out.push_back(std::move(key));
  }
  for (size_t i = frame.place; i < properties.size(); ++i)
    if (properties[i].required) return;
  for (const SchemaExtra& extra : frame.node->extras) {
    if (!may_extra(frame, extra)) continue;
    State key = s;
    key.mode = Mode::kExtraKey;
    key.extra = &extra;
    key.cursor = extra.keys.begin();
    key.text.clear();
    out.push_back(std::move(key));
  }
}

void JsonReader::step_key(State s, unsigned char c, States& out) const {
  const auto& properties = s.frame->node->properties;
  if (c == '"') {
    for (size_t i = s.frame->place; i < properties.size(); ++i) {
      if (properties[i].quoted == s.text && may_member(*s.frame, i)) {
        auto frame = std::make_shared<Frame>(*s.frame);
        frame->place = static_cast<uint32_t>(i + 1);
        ++frame->members;
        s.frame = std::move(frame);
        s.node = properties[i].node;
        s.mode = Mode::kColon;
        s.text.clear();
        return out.push_back(std::move(s));
      }
      if (properties[i].required) break;
    }
  }
  s.text += static_cast<char>(c);
  for (size_t i = s.frame->place; i < properties.size(); ++i) {
    if (properties[i].quoted.starts_with(s.text) && may_member(*s.frame, i)) return out.push_back(std::move(s));
    if (properties[i].required) return;
  }
}

void JsonReader::step_extra_key(State s, unsigned char c, States& out) const {
  const TextRule& rule = s.extra->keys;
  const auto step = rule.step(s.cursor, c, &s.text);
  if (step == TextRule::Step::kRefused) return;
  if (step == TextRule::Step::kInside) {
    if (!rule.automaton || !s.cursor.between() || rule.texts(s.cursor) > used_texts(s.frame->used, s.text)) out.push_back(std::move(s));
    return;
  }
  const std::string identity = identity_of_text(s.text);
  if (is_used(s.frame->used, identity)) return;
  if (!rule.automaton) {  // an automaton leaves out the names that the schema has
    const std::string quoted = dump(Json(s.text));
    for (const SchemaProperty& property : s.frame->node->properties)
      if (property.quoted.size() + 2 == quoted.size() && quoted.find(property.quoted) == 1) return;
  }
  auto frame = std::make_shared<Frame>(*s.frame);
  frame->place = static_cast<uint32_t>(frame->node->properties.size());
  ++frame->members;
  frame->used = std::make_shared<const Used>(Used{identity, frame->used});
  s.frame = std::move(frame);
  s.node = s.extra->node;
  s.mode = Mode::kColon;
  s.text.clear();
  out.push_back(std::move(s));
}

void JsonReader::step_object(State s, unsigned char c, States& out) const {
  const Frame& frame = *s.frame;
  if (c == '"' && s.mode != Mode::kObjectNext) {
    s.blanks = 0;
    return begin_member(s, out);
  }
  if (c == '}' && s.mode != Mode::kObjectComma) {
    if (frame.members < frame.node->min_members) return;
    const auto& properties = frame.node->properties;
    if (std::any_of(properties.begin() + frame.place, properties.end(), [](const SchemaProperty& property) { return property.required; })) return;
    s.frame = frame.outer;
    return end_value(std::move(s), "", out);
  }
  if (c == ',' && s.mode == Mode::kObjectNext && may_more(frame)) {
    s.mode = Mode::kObjectComma;
    s.blanks = 0;
    out.push_back(std::move(s));
  }
}

void JsonReader::step_array(State s, unsigned char c, States& out) const {
  const bool start = s.mode == Mode::kArrayStart;
  if (c == ']') {
    if (s.frame->place < s.frame->node->min_items) return;
    s.frame = s.frame->outer;
    return end_value(std::move(s), "", out);
  }
  if ((!start && c != ',') || !may_item(*s.frame)) return;
  s.node = item_node(*s.frame);
  auto frame = std::make_shared<Frame>(*s.frame);
  ++frame->place;
  s.frame = std::move(frame);
  s.mode = Mode::kValue;
  s.blanks = 0;
  if (start) return begin_value(std::move(s), c, out);
  out.push_back(std::move(s));
}

void JsonReader::advance(State s, unsigned char c, States& out) const {
  const bool between = s.mode != Mode::kKey && s.mode != Mode::kExtraKey && s.mode != Mode::kString && s.mode != Mode::kNumber && s.mode != Mode::kLiteral;
  if (between && is_json_blank(c) && !(s.mode == Mode::kValue && s.node->exact)) {
    if (s.mode == Mode::kDone || ++s.blanks > kMaxBlanks) return;
    return out.push_back(std::move(s));
  }
  switch (s.mode) {
    case Mode::kValue: return begin_value(std::move(s), c, out);
    case Mode::kObjectStart:
    case Mode::kObjectComma:
    case Mode::kObjectNext: return step_object(std::move(s), c, out);
    case Mode::kKey: return step_key(std::move(s), c, out);
    case Mode::kExtraKey: return step_extra_key(std::move(s), c, out);
    case Mode::kColon:
      if (c != ':') return;
      s.mode = Mode::kValue;
      s.blanks = 0;
      return out.push_back(std::move(s));
    case Mode::kArrayStart:
    case Mode::kArrayNext: return step_array(std::move(s), c, out);
    case Mode::kString: return step_string(std::move(s), c, out);
    case Mode::kNumber: return step_number(std::move(s), c, out);
    case Mode::kLiteral: return step_literal(std::move(s), c, out);
    case Mode::kDone: return;
  }
}

}  // namespace hone::serve
