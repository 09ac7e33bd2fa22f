#include "serve/schema/languages.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "text/unicode.h"

namespace hone::serve {
namespace {

constexpr size_t kMaxAutomatonStates = 16384, kMaxTerms = 300'000, kMaxDerivatives = 2'000'000, kMaxAutomatonCells = size_t{4} << 20, kMaxTermBytes = size_t{64} << 20;
constexpr char32_t kLastChar = 0x10FFFF;

bool holds_char(const CharSet& set, char32_t c) {
  const auto after = std::upper_bound(set.begin(), set.end(), c, [](char32_t x, const auto& range) { return x < range.first; });
  return after != set.begin() && std::prev(after)->second >= c;
}

}  // namespace

CharSet char_set(CharSet ranges) {
  std::sort(ranges.begin(), ranges.end());
  CharSet set;
  for (const auto& [low, high] : ranges) {
    if (!set.empty() && low <= set.back().second + 1) set.back().second = std::max(set.back().second, high);
    else set.emplace_back(low, high);
  }
  return set;
}

CharSet other_chars(const CharSet& set) {
  CharSet others;
  const auto between = [&](char32_t low, char32_t high) {  // both inclusive; without surrogates
    if (low > high) return;
    if (low < 0xD800) others.emplace_back(low, std::min<char32_t>(high, 0xD7FF));
    if (high > 0xDFFF) others.emplace_back(std::max<char32_t>(low, 0xE000), high);
  };
  char32_t next = 0;
  for (const auto& [low, high] : set) {
    if (low > next) between(next, low - 1);
    next = high + 1;
  }
  if (next <= kLastChar) between(next, kLastChar);
  return others;
}

std::vector<char32_t> code_points(std::string_view utf8) {
  std::vector<char32_t> characters;
  for (size_t at = 0; at < utf8.size();) {
    const size_t size = std::max<size_t>(text::utf8_length(utf8.substr(at)), 1);
    characters.push_back(text::utf8_code_point(utf8.substr(at, size)));
    at += size;
  }
  return characters;
}

// ---- TextAutomaton

uint32_t TextAutomaton::next(uint32_t state, char32_t c) const {
  uint16_t of = 0;
  if (c < 128) {
    of = ascii_[c];
  } else {
    const auto after = std::upper_bound(segments_.begin(), segments_.end(), c, [](char32_t x, const auto& segment) { return x < segment.first; });
    of = std::prev(after)->second;
  }
  return next_[state * classes_ + of];
}

bool TextAutomaton::may(uint32_t state, char32_t low, char32_t high, uint32_t room) const {
  auto at = std::prev(std::upper_bound(segments_.begin(), segments_.end(), low, [](char32_t x, const auto& segment) { return x < segment.first; }));
  for (; at != segments_.end() && at->first <= high; ++at)
    if (const uint32_t to = next_[state * classes_ + at->second]; to != kDead && shortest_[to] <= room) return true;
  return false;
}

bool TextAutomaton::holds(std::string_view utf8) const {
  uint32_t state = start_;
  for (const char32_t c : code_points(utf8)) {
    if (state == kDead) return false;
    state = next(state, c);
  }
  return state != kDead && accepts(state);
}

// Leaves out what leads nowhere, and counts the texts from each state.
void TextAutomaton::finish(const std::vector<uint64_t>& class_sizes) {
  const size_t states = accepts_.size();
  std::vector<std::vector<uint32_t>> from(states);
  for (size_t s = 0; s < states; ++s)
    for (size_t c = 0; c < classes_; ++c)
      if (const uint32_t to = next_[s * classes_ + c]; to != kDead && (from[to].empty() || from[to].back() != s)) from[to].push_back(static_cast<uint32_t>(s));
  std::vector<bool> live = accepts_;
  std::vector<uint32_t> open;
  shortest_.assign(states, 0);
  for (size_t s = 0; s < states; ++s)
    if (live[s]) open.push_back(static_cast<uint32_t>(s));
  for (size_t i = 0; i < open.size(); ++i)  // the nearest first
    for (const uint32_t before : from[open[i]])
      if (!live[before]) live[before] = true, shortest_[before] = shortest_[open[i]] + 1, open.push_back(before);
  open.clear();
  for (uint32_t& to : next_)
    if (to != kDead && !live[to]) to = kDead;
  if (start_ != kDead && !live[start_]) start_ = kDead;
  // From the ends backwards; what is never reached this way lies before a cycle.
  texts_.assign(states, kMany);
  std::vector<size_t> left(states, 0);
  for (size_t s = 0; s < states; ++s)
    for (size_t c = 0; c < classes_; ++c) left[s] += next_[s * classes_ + c] != kDead;
  for (size_t s = 0; s < states; ++s)
    if (left[s] == 0) open.push_back(static_cast<uint32_t>(s));
  while (!open.empty()) {
    const uint32_t s = open.back();
    open.pop_back();
    uint64_t count = accepts_[s] ? 1 : 0;
    for (size_t c = 0; c < classes_; ++c)
      if (const uint32_t to = next_[s * classes_ + c]; to != kDead)
        count = texts_[to] >= kMany / class_sizes[c] ? kMany : std::min(kMany, count + class_sizes[c] * texts_[to]);
    texts_[s] = count;
    if (!live[s]) continue;
    for (const uint32_t before : from[s])
      for (size_t c = 0; c < classes_; ++c)
        if (next_[before * classes_ + c] == s && --left[before] == 0) open.push_back(before);
  }
}

// ---- Languages

Languages::Languages() {
  add({Kind::kNothing, false, 0, {}, 0, 0});
  add({Kind::kEmpty, true, 0, {}, 0, 0});
  sets_.push_back({{0, 0xD7FF}, {0xE000, kLastChar}, {kBegin, kEnd}});
  add({Kind::kRepeat, true, 0, {3}, 0, kUnbounded});  // of term 3, which comes next
  add({Kind::kChars, false, 0, {}, 0, 0});
}

Languages::Term Languages::add(Node node) {
  std::string key(1, static_cast<char>(node.kind));
  const auto write = [&](const auto& value) { key.append(reinterpret_cast<const char*>(&value), sizeof value); };
  write(node.set);
  write(node.low);
  write(node.high);
  for (const Term part : node.parts) write(part);
  work_ += 1 + key.size() / 32;
  const auto [at, fresh] = known_.try_emplace(std::move(key), static_cast<Term>(nodes_.size()));
  if (fresh) nodes_.push_back(std::move(node));
  if (nodes_.size() > kMaxTerms || work_ > kMaxDerivatives) throw Error(ErrorCode::kUnsupported, where_, "takes too many steps to hold answers to", "simplify the pattern, or shorten its repetitions");
  return at->second;
}

Languages::Term Languages::one_of(CharSet set) {
  if (set.empty()) return nothing();
  auto at = std::find(sets_.begin(), sets_.end(), set);
  if (at == sets_.end()) {
    if (sets_.size() >= 4096) throw Error(ErrorCode::kUnsupported, where_, "has too many sets of characters");
    sets_.push_back(std::move(set));
    at = std::prev(sets_.end());
  }
  return add({Kind::kChars, false, static_cast<uint32_t>(at - sets_.begin()), {}, 0, 0});
}

Languages::Term Languages::any_char() { return one_of({{0, 0xD7FF}, {0xE000, kLastChar}}); }

Languages::Term Languages::text(std::string_view utf8) {
  const std::vector<char32_t> characters = code_points(utf8);
  Term term = empty();
  for (size_t i = characters.size(); i-- > 0;) term = concat(one_of({{characters[i], characters[i]}}), term);
  return term;
}

Languages::Term Languages::framed(Term a) { return concat(one_of({{kBegin, kBegin}}), concat(a, one_of({{kEnd, kEnd}}))); }

Languages::Term Languages::concat(Term a, Term b) {
  if (a == nothing() || b == nothing()) return nothing();
  if (a == empty()) return b;
  if (b == empty() || (a == everything() && b == everything())) return a;
  if (nodes_[a].kind == Kind::kConcat) {  // to the right
    const Term first = nodes_[a].parts[0], rest = nodes_[a].parts[1];
    return concat(first, concat(rest, b));
  }
  if (a == everything() && nodes_[b].kind == Kind::kConcat && nodes_[b].parts[0] == everything()) return b;
  return add({Kind::kConcat, nodes_[a].nullable && nodes_[b].nullable, 0, {a, b}, 0, 0});
}

// Flat, sorted, each part once.
Languages::Term Languages::join(Kind kind, Term a, Term b) {
  const bool wide = kind == Kind::kEither;
  const Term absorbs = wide ? everything() : nothing(), neutral = wide ? nothing() : everything();
  if (a == b || b == neutral) return a;
  if (a == neutral) return b;
  if (a == absorbs || b == absorbs) return absorbs;
  Node node{kind, wide ? nodes_[a].nullable || nodes_[b].nullable : nodes_[a].nullable && nodes_[b].nullable, 0, {}, 0, 0};
  for (const Term term : {a, b}) {
    if (nodes_[term].kind == kind) node.parts.insert(node.parts.end(), nodes_[term].parts.begin(), nodes_[term].parts.end());
    else node.parts.push_back(term);
  }
  std::sort(node.parts.begin(), node.parts.end());
  node.parts.erase(std::unique(node.parts.begin(), node.parts.end()), node.parts.end());
  return node.parts.size() == 1 ? node.parts[0] : add(std::move(node));
}

Languages::Term Languages::either(Term a, Term b) { return join(Kind::kEither, a, b); }
Languages::Term Languages::both(Term a, Term b) { return join(Kind::kBoth, a, b); }

Languages::Term Languages::complement(Term a) {
  if (a == nothing()) return everything();
  if (a == everything()) return nothing();
  if (nodes_[a].kind == Kind::kNot) return nodes_[a].parts[0];
  return add({Kind::kNot, !nodes_[a].nullable, 0, {a}, 0, 0});
}

Languages::Term Languages::repeat(Term a, int64_t low, int64_t high) {
  if (high == 0 || a == empty()) return empty();
  if (a == nothing()) return low == 0 ? empty() : nothing();
  if (low == 1 && high == 1) return a;
  if (nodes_[a].nullable) low = 0;
  if (nodes_[a].kind == Kind::kRepeat && nodes_[a].low == 0 && nodes_[a].high == kUnbounded) return a;
  return add({Kind::kRepeat, low == 0, 0, {a}, low, high});
}

Languages::Term Languages::derive(Term term, char32_t c, uint32_t key) {
  if (term == nothing() || term == empty()) return nothing();
  if (term == everything()) return term;
  const uint64_t memo = static_cast<uint64_t>(term) << 16 | key;
  if (const auto known = derived_.find(memo); known != derived_.end()) return known->second;
  ++work_;
  const Node node = nodes_[term];  // a copy: terms are added below
  Term result = nothing();
  switch (node.kind) {
    case Kind::kNothing:
    case Kind::kEmpty: break;
    case Kind::kChars: result = holds_char(sets_[node.set], c) ? empty() : nothing(); break;
    case Kind::kConcat: {
      result = concat(derive(node.parts[0], c, key), node.parts[1]);
      if (nodes_[node.parts[0]].nullable) result = either(result, derive(node.parts[1], c, key));
      break;
    }
    case Kind::kEither:
      for (const Term part : node.parts) result = either(result, derive(part, c, key));
      break;
    case Kind::kBoth:
      result = everything();
      for (const Term part : node.parts) result = both(result, derive(part, c, key));
      break;
    case Kind::kNot: result = complement(derive(node.parts[0], c, key)); break;
    case Kind::kRepeat:
      result = concat(derive(node.parts[0], c, key), repeat(node.parts[0], std::max<int64_t>(node.low - 1, 0), node.high == kUnbounded ? kUnbounded : node.high - 1));
      break;
  }
  derived_[memo] = result;
  return result;
}

void Languages::sets_of(Term term, std::vector<uint32_t>& sets) const {
  std::vector<bool> seen(nodes_.size());
  std::vector<Term> open = {term};
  while (!open.empty()) {
    const Term at = open.back();
    open.pop_back();
    if (seen[at]) continue;
    seen[at] = true;
    if (nodes_[at].kind == Kind::kChars) sets.push_back(nodes_[at].set);
    open.insert(open.end(), nodes_[at].parts.begin(), nodes_[at].parts.end());
  }
  std::sort(sets.begin(), sets.end());
}

std::shared_ptr<const TextAutomaton> Languages::automaton(Term term, const std::string& where) {
  where_ = where;
  derived_.clear();
  auto made = std::make_shared<TextAutomaton>();
  // Characters that all sets treat alike are one class.
  std::vector<uint32_t> sets;
  sets_of(term, sets);
  std::vector<char32_t> bounds = {0, 0xD800, 0xE000, kLastChar + 1};
  for (const uint32_t set : sets)
    for (const auto& [low, high] : sets_[set]) bounds.push_back(low), bounds.push_back(high + 1);
  std::sort(bounds.begin(), bounds.end());
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  std::erase_if(bounds, [](char32_t c) { return c > kLastChar; });
  work_ += bounds.size() * (1 + sets.size() / 64);
  std::map<std::vector<bool>, uint16_t> classes;
  std::vector<char32_t> sample;
  std::vector<uint64_t> sizes;
  for (size_t i = 0; i < bounds.size(); ++i) {
    const char32_t first = bounds[i], end = i + 1 < bounds.size() ? bounds[i + 1] : kLastChar + 1;
    std::vector<bool> signature(sets.size() + 1);
    for (size_t s = 0; s < sets.size(); ++s) signature[s] = holds_char(sets_[sets[s]], first);
    signature.back() = first >= 0xD800 && first < 0xE000;  // no characters of texts
    const auto [at, fresh] = classes.try_emplace(std::move(signature), static_cast<uint16_t>(sample.size()));
    if (fresh) {
      sample.push_back(first);
      sizes.push_back(0);
    }
    sizes[at->second] += end - first;
    made->segments_.emplace_back(first, at->second);
  }
  made->classes_ = sample.size();
  for (char32_t c = 0; c < 128; ++c) {
    const auto after = std::upper_bound(made->segments_.begin(), made->segments_.end(), c, [](char32_t x, const auto& segment) { return x < segment.first; });
    made->ascii_[c] = std::prev(after)->second;
  }
  const auto key_of = [](size_t cls) { return static_cast<uint32_t>(cls + 2); };
  std::unordered_map<Term, uint32_t> states;
  std::vector<Term> terms;
  const auto state_of = [&](Term at) -> uint32_t {
    if (at == nothing()) return TextAutomaton::kDead;
    const auto [known, fresh] = states.try_emplace(at, static_cast<uint32_t>(terms.size()));
    if (fresh) terms.push_back(at);
    if (terms.size() > kMaxAutomatonStates || (cells_ += fresh ? sample.size() : 0) > kMaxAutomatonCells)
      throw Error(ErrorCode::kUnsupported, where, "takes too many states to hold answers to", "simplify the pattern, or shorten its repetitions");
    return known->second;
  };
  made->start_ = state_of(derive(term, kBegin, 0));
  for (size_t s = 0; s < terms.size(); ++s) {
    made->accepts_.push_back(nodes_[derive(terms[s], kEnd, 1)].nullable);
    for (size_t cls = 0; cls < sample.size(); ++cls) {
      const bool surrogate = sample[cls] >= 0xD800 && sample[cls] < 0xE000;
      made->next_.push_back(surrogate ? TextAutomaton::kDead : state_of(derive(terms[s], sample[cls], key_of(cls))));
    }
  }
  made->finish(sizes);
  return made;
}

}  // namespace hone::serve
