// The reading half of json_schema.h.
#include <algorithm>
#include <bit>

#include "serve/models/json_schema.h"

namespace hone::serve {
namespace {

constexpr uint8_t kMaxBlanks = 32;
constexpr size_t kMaxDepth = 64, kMaxStates = 16, kMaxChoices = 64;

bool is_blank(unsigned char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
bool is_hex(unsigned char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Parts of a number: after "-", after a leading 0, in the whole part, after ".", in the fraction, after "e", after its sign, in the exponent.
enum NumberPart : uint8_t { kMinus, kZero, kWhole, kPoint, kFraction, kE, kSign, kExponent };

}  // namespace

JsonReader::JsonReader(const SchemaNode* root) {
  State state;
  state.node = root;
  states_.push_back(std::move(state));
}

bool JsonReader::complete() const {
  return std::any_of(states_.begin(), states_.end(), [](const State& s) {
    if (!s.frames.empty()) return false;
    if (s.mode == Mode::kDone) return true;
    if (s.mode == Mode::kNumber) return number_complete(s);
    return s.mode == Mode::kLiteral && std::find(s.node->literals.begin(), s.node->literals.end(), s.text) != s.node->literals.end();
  });
}

bool JsonReader::in_free_string() const {
  return std::any_of(states_.begin(), states_.end(), [](const State& s) {
    return s.escape == 0 && (s.mode == Mode::kString || (s.mode == Mode::kKey && s.frames.back().node->additional && s.frames.back().node->properties.empty()));
  });
}

bool JsonReader::push(unsigned char byte) {
  std::vector<State> next;
  for (State& state : states_) advance(std::move(state), byte, next);
  if (next.size() > kMaxStates) next.resize(kMaxStates);
  states_ = std::move(next);
  return !states_.empty();
}

bool JsonReader::step_number(State& s, unsigned char c) {
  const bool whole_only = s.node && s.node->integer && !s.node->number;
  switch (s.number) {
    case kMinus:
      if (!is_digit(c)) return false;
      s.number = c == '0' ? kZero : kWhole;
      return true;
    case kZero:
    case kWhole:
      if (s.number == kWhole && is_digit(c)) return ++s.blanks <= 40;  // no number needs more digits; counted where blanks are
      if (whole_only) return false;
      if (c == '.') return s.number = kPoint, true;
      if (c == 'e' || c == 'E') return s.number = kE, s.blanks = 0, true;
      return false;
    case kPoint:
    case kFraction:
      if (is_digit(c)) return s.number = kFraction, ++s.blanks <= 40;
      if (s.number == kFraction && (c == 'e' || c == 'E')) return s.number = kE, s.blanks = 0, true;
      return false;
    case kE:
      if (c == '+' || c == '-') return s.number = kSign, true;
      [[fallthrough]];
    case kSign:
    case kExponent:
      if (!is_digit(c)) return false;
      s.number = kExponent;
      return ++s.blanks <= 2;  // readers hold numbers up to 1e308
    default: return false;
  }
}

bool JsonReader::number_complete(const State& s) { return s.number == kZero || s.number == kWhole || s.number == kFraction || s.number == kExponent; }

// One byte inside a string; `ended` at its closing quote.
bool JsonReader::step_string(State& s, unsigned char c, bool& ended) const {
  if (s.escape == 1) {
    if (c == 'u') return s.escape = 2, true;
    s.escape = 0;
    return std::string_view("\"\\/bfnrt").find(static_cast<char>(c)) != std::string_view::npos;
  }
  if (s.escape >= 2) {
    s.escape = s.escape == 5 ? 0 : static_cast<uint8_t>(s.escape + 1);
    return is_hex(c);
  }
  if (c == '"') return ended = true;
  if (c == '\\') return s.escape = 1, true;
  return c >= 0x20;
}

// A value is over: what its container wants next.
void JsonReader::end_value(State s, std::vector<State>& out) const {
  s.blanks = 0;
  s.text.clear();
  if (s.frames.empty()) s.mode = Mode::kDone;
  else s.mode = s.frames.back().node->object && s.frames.back().items < 0 ? Mode::kObjectNext : Mode::kArrayNext;
  out.push_back(std::move(s));
}

void JsonReader::begin_value(State s, unsigned char c, std::vector<State>& out) const {
  const SchemaNode* node = s.node;
  s.blanks = 0;
  if (!node->choices.empty()) {
    std::vector<const SchemaNode*> tried = {node};
    return begin_choice(s, c, tried, out);
  }
  if (!node->literals.empty()) {
    s.text = std::string(1, static_cast<char>(c));
    s.mode = Mode::kLiteral;
    if (std::any_of(node->literals.begin(), node->literals.end(), [&](const std::string& l) { return l.starts_with(s.text); })) {
      if (s.text.size() == 1 && node->literals.size() == 1 && node->literals[0].size() == 1) return end_value(std::move(s), out);
      out.push_back(std::move(s));
    }
    return;
  }
  const auto begin = [&](Mode mode) {
    s.mode = mode;
    out.push_back(s);
  };
  if (c == '"' && node->string) return begin(Mode::kString);
  if ((is_digit(c) || c == '-') && (node->number || node->integer)) {
    s.number = c == '-' ? kMinus : c == '0' ? kZero : kWhole;
    return begin(Mode::kNumber);
  }
  if ((c == '{' && node->object) || (c == '[' && node->array)) {
    if (s.frames.size() >= kMaxDepth) return;
    s.frames.push_back({node, 0, c == '{' ? -1 : 0});  // items −1: an object
    return begin(c == '{' ? Mode::kObjectStart : Mode::kArrayStart);
  }
  static const SchemaNode kWords[] = {[] { SchemaNode n; n.literals = {"true", "false"}; return n; }(), [] { SchemaNode n; n.literals = {"null"}; return n; }()};
  if (((c == 't' || c == 'f') && node->boolean) || (c == 'n' && node->null)) {
    s.node = &kWords[c == 'n'];
    s.text = std::string(1, static_cast<char>(c));
    return begin(Mode::kLiteral);
  }
}

// Tries each choice once, however often choices lead back to themselves.
void JsonReader::begin_choice(const State& s, unsigned char c, std::vector<const SchemaNode*>& tried, std::vector<State>& out) const {
  for (size_t i = 0; i < tried.size(); ++i) {
    for (const SchemaNode* choice : tried[i]->choices) {
      if (std::find(tried.begin(), tried.end(), choice) != tried.end()) continue;
      if (tried.size() >= kMaxChoices) return;
      tried.push_back(choice);
      if (!choice->choices.empty()) continue;
      State branch = s;
      branch.node = choice;
      begin_value(std::move(branch), c, out);
    }
  }
}

void JsonReader::advance(State s, unsigned char c, std::vector<State>& out) const {
  const bool between = s.mode != Mode::kKey && s.mode != Mode::kString && s.mode != Mode::kNumber && s.mode != Mode::kLiteral;
  if (between && is_blank(c)) {
    if (s.mode == Mode::kDone || ++s.blanks > kMaxBlanks) return;
    return out.push_back(std::move(s));
  }
  switch (s.mode) {
    case Mode::kValue: return begin_value(std::move(s), c, out);
    case Mode::kObjectStart:
    case Mode::kObjectComma: {
      const Frame& frame = s.frames.back();
      const bool room = frame.node->additional || std::popcount(frame.seen) < static_cast<int>(frame.node->properties.size());
      if (c == '"' && room) {
        s.mode = Mode::kKey;
        s.blanks = 0;
        s.text.clear();
        return out.push_back(std::move(s));
      }
      if (c != '}' || s.mode == Mode::kObjectComma) return;
      [[fallthrough]];
    }
    case Mode::kObjectNext: {
      const Frame& frame = s.frames.back();
      if (c == '}' && (frame.seen & frame.node->required) == frame.node->required) {
        s.frames.pop_back();
        return end_value(std::move(s), out);
      }
      const bool room = frame.node->additional || std::popcount(frame.seen) < static_cast<int>(frame.node->properties.size());
      if (c == ',' && s.mode == Mode::kObjectNext && room) {
        s.mode = Mode::kObjectComma;
        s.blanks = 0;
        out.push_back(std::move(s));
      }
      return;
    }
    case Mode::kKey: {
      bool ended = false;
      if (!step_string(s, c, ended)) return;
      Frame& frame = s.frames.back();
      const auto& properties = frame.node->properties;
      if (!ended) {
        s.text += static_cast<char>(c);
        if (!frame.node->additional) {
          bool possible = false;
          for (size_t i = 0; i < properties.size(); ++i) possible = possible || (!(frame.seen >> i & 1) && properties[i].first.starts_with(s.text));
          if (!possible) return;
        }
        return out.push_back(std::move(s));
      }
      s.node = frame.node->additional;
      for (size_t i = 0; i < properties.size(); ++i)
        if (properties[i].first == s.text) {
          if (frame.seen >> i & 1) return;
          frame.seen |= uint64_t{1} << i;
          s.node = properties[i].second;
        }
      if (!s.node) return;
      s.mode = Mode::kColon;
      s.text.clear();
      return out.push_back(std::move(s));
    }
    case Mode::kColon:
      if (c != ':') return;
      s.mode = Mode::kValue;
      s.blanks = 0;
      return out.push_back(std::move(s));
    case Mode::kArrayStart:
    case Mode::kArrayNext: {
      Frame& frame = s.frames.back();
      const bool first = s.mode == Mode::kArrayStart;
      if (c == ']' && frame.items >= frame.node->min_items) {
        s.frames.pop_back();
        return end_value(std::move(s), out);
      }
      if ((!first && c != ',') || (frame.node->max_items >= 0 && frame.items >= frame.node->max_items)) return;
      ++frame.items;
      s.node = frame.node->items;
      if (first) return begin_value(std::move(s), c, out);
      s.mode = Mode::kValue;
      s.blanks = 0;
      return out.push_back(std::move(s));
    }
    case Mode::kString: {
      bool ended = false;
      if (!step_string(s, c, ended)) return;
      return ended ? end_value(std::move(s), out) : out.push_back(std::move(s));
    }
    case Mode::kNumber: {
      State longer = s;
      if (step_number(longer, c)) return out.push_back(std::move(longer));
      if (!number_complete(s)) return;
      std::vector<State> after;
      end_value(std::move(s), after);
      for (State& state : after) advance(std::move(state), c, out);
      return;
    }
    case Mode::kLiteral: {
      const auto& literals = s.node->literals;
      const bool whole = std::find(literals.begin(), literals.end(), s.text) != literals.end();
      State longer = s;
      longer.text += static_cast<char>(c);
      if (std::any_of(literals.begin(), literals.end(), [&](const std::string& l) { return l.starts_with(longer.text); })) {
        out.push_back(std::move(longer));
      }
      if (!whole) return;
      std::vector<State> after;
      end_value(std::move(s), after);
      for (State& state : after) advance(std::move(state), c, out);
      return;
    }
    case Mode::kDone: return;
  }
}

}  // namespace hone::serve
