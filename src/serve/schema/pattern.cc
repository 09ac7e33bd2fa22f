#include "serve/schema/pattern.h"

#include <charconv>
#include <memory>

#include "base/error.h"

namespace hone::serve {
namespace {

using Term = Languages::Term;

constexpr size_t kMaxPattern = 4096, kMaxGroups = 64;
constexpr int64_t kMaxCount = 65535;

struct PatternPart {
  enum class Kind { kChars, kSequence, kChoice, kRepeat, kAhead } kind;
  CharSet chars;
  std::vector<PatternPart> parts;
  int64_t low = 0, high = 0;
  bool negative = false;
  bool looks = false;  // a look-ahead is somewhere inside
};

const CharSet kDigitChars = {{'0', '9'}};
const CharSet kWordChars = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CharSet kBlankChars = {{9, 13}, {' ', ' '}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};

bool is_letter_or_digit(char32_t c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

class PatternParser {
 public:
  PatternParser(std::string_view pattern, const std::string& where) : where_(where), text_(code_points(pattern)) {}

  PatternPart whole() {
    PatternPart part = choice(0);
    if (at_ < text_.size()) invalid("an unexpected )");
    return part;
  }

 private:
  [[noreturn]] void invalid(const std::string& what) const { throw Error(ErrorCode::kInvalidInput, where_, fmt::format("{} at character {}", what, at_ + 1)); }
  [[noreturn]] void unsupported(const std::string& what) const { throw Error(ErrorCode::kUnsupported, where_, fmt::format("{} (character {}): answers cannot be held to that", what, at_ + 1), "docs/serve.md lists what patterns may hold"); }

  bool next_is(char32_t c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(char32_t c) { return next_is(c) && (++at_, true); }
  bool take(std::u32string_view word) {
    if (std::u32string_view(text_.data(), text_.size()).substr(at_).substr(0, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  PatternPart choice(size_t depth) {
    if (depth > kMaxGroups) invalid("groups nest too deeply");
    PatternPart all{PatternPart::Kind::kChoice, {}, {sequence(depth)}};
    while (take('|')) all.parts.push_back(sequence(depth));
    for (const PatternPart& part : all.parts) all.looks = all.looks || part.looks;
    return all.parts.size() == 1 ? PatternPart(all.parts[0]) : all;
  }

  PatternPart sequence(size_t depth) {
    PatternPart all{PatternPart::Kind::kSequence, {}, {}};
    while (at_ < text_.size() && text_[at_] != '|' && text_[at_] != ')') all.parts.push_back(repeated(depth));
    for (const PatternPart& part : all.parts) all.looks = all.looks || part.looks;
    return all;
  }

  PatternPart repeated(size_t depth) {
    const bool anchor = next_is('^') || next_is('$');
    PatternPart part = atom(depth);
    for (bool any = true; any;) {
      int64_t low = 0, high = 0;
      any = quantifier(low, high);
      if (!any) break;
      if (anchor || part.kind == PatternPart::Kind::kAhead || part.kind == PatternPart::Kind::kRepeat) invalid("nothing that could repeat");
      if (high >= 0 && low > high) invalid("a repetition whose bounds are the wrong way round");
      take('?');
      if (next_is('+')) unsupported("a possessive repetition");
      PatternPart many{PatternPart::Kind::kRepeat, {}, {}};
      many.low = low, many.high = high, many.looks = part.looks;
      if (part.looks && (high < 0 || high > 1)) unsupported("a look-ahead inside a repetition");
      many.parts.push_back(std::move(part));
      part = std::move(many);
    }
    return part;
  }

  bool number(int64_t& value) {
    const size_t from = at_;
    value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      value = value * 10 + static_cast<int64_t>(text_[at_++] - '0');
      if (value > kMaxCount) unsupported(fmt::format("a repetition of more than {}", kMaxCount));
    }
    return at_ > from;
  }

  bool quantifier(int64_t& low, int64_t& high) {
    if (take('*')) return low = 0, high = Languages::kUnbounded, true;
    if (take('+')) return low = 1, high = Languages::kUnbounded, true;
    if (take('?')) return low = 0, high = 1, true;
    const size_t from = at_;
    if (!take('{')) return false;
    if (number(low)) {
      high = low;
      if (take(',') && !number(high)) high = Languages::kUnbounded;
      if (take('}')) return true;
    }
    at_ = from;  // a brace that stands for itself
    return false;
  }

  PatternPart chars(CharSet set) { return {PatternPart::Kind::kChars, char_set(std::move(set)), {}}; }

  PatternPart atom(size_t depth) {
    const char32_t c = text_[at_];
    const size_t from = at_++;
    switch (c) {
      case '^': return chars({{Languages::kBegin, Languages::kBegin}});
      case '$': return chars({{Languages::kEnd, Languages::kEnd}});
      case '.': return chars(other_chars({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
      case '[': return chars(char_class());
      case '(': return group(depth, from);
      case '\\': {
        CharSet set;
        escape(set, /*in_class=*/false);
        return chars(std::move(set));
      }
      case '*':
      case '+':
      case '?': at_ = from; invalid("nothing that could repeat");
      case '{': {
        at_ = from;
        int64_t low = 0, high = 0;
        if (quantifier(low, high)) invalid("nothing that could repeat");
        at_ = from + 1;
        return chars({{c, c}});
      }
      default: return chars({{c, c}});
    }
  }

  PatternPart group(size_t depth, size_t from) {
    PatternPart ahead{PatternPart::Kind::kAhead, {}, {}};
    bool looks = false;
    if (take('?')) {
      if (take(U"=")) looks = true;
      else if (take(U"!")) looks = ahead.negative = true;
      else if (take(U"<=") || take(U"<!")) unsupported("a look-behind");
      else if (take(U"<") || take(U"P<")) {
        while (at_ < text_.size() && text_[at_] != '>') ++at_;
        if (!take('>')) invalid("a group's name without an end");
      } else if (!take(':')) {
        unsupported("flags or another extension of groups");
      }
    }
    PatternPart inside = choice(depth + 1);
    if (!take(')')) at_ = from, invalid("a group without an end");
    if (!looks) return inside;
    ahead.looks = true;
    ahead.parts.push_back(std::move(inside));
    return ahead;
  }

  char32_t hex(size_t digits) {
    char32_t value = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (at_ >= text_.size()) invalid("expected hexadecimal digits");
      const char32_t c = text_[at_++];
      if (c >= '0' && c <= '9') value = value * 16 + (c - '0');
      else if (c >= 'a' && c <= 'f') value = value * 16 + (c - 'a' + 10);
      else if (c >= 'A' && c <= 'F') value = value * 16 + (c - 'A' + 10);
      else invalid("expected hexadecimal digits");
    }
    return value;
  }

  char32_t unicode_escape() {
    char32_t value = 0;
    if (take('{')) {
      size_t digits = 0;
      while (digits < 7 && at_ < text_.size() && text_[at_] != '}') value = value * 16 + hex(1), ++digits;
      if (digits == 0 || !take('}')) invalid("expected a character's number in braces");
    } else {
      value = hex(4);
      if (value >= 0xD800 && value < 0xDC00 && take(U"\\u")) {
        const char32_t low = hex(4);
        if (low < 0xDC00 || low > 0xDFFF) invalid("half of a character");
        value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      }
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) invalid("a number that no character has");
    return value;
  }

  // After a backslash. A single character, or a set that cannot be a range's end: then false.
  bool escape(CharSet& set, bool in_class) {
    if (at_ >= text_.size()) invalid("a backslash at the end");
    const char32_t c = text_[at_++];
    const auto one = [&](char32_t value) { return set = {{value, value}}, true; };
    switch (c) {
      case 'd': return set = kDigitChars, false;
      case 'w': return set = kWordChars, false;
      case 's': return set = kBlankChars, false;
      case 'D': return set = other_chars(kDigitChars), false;
      case 'W': return set = other_chars(kWordChars), false;
      case 'S': return set = other_chars(kBlankChars), false;
      case 'n': return one('\n');
      case 't': return one('\t');
      case 'r': return one('\r');
      case 'f': return one('\f');
      case 'v': return one('\v');
      case 'x': return one(hex(2));
      case 'u': return one(unicode_escape());
      case '0':
        if (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') unsupported("a number in octal");
        return one(0);
      case 'b':
        if (in_class) return one('\b');
        unsupported("\\b");
      default:
        if (c >= '1' && c <= '9') unsupported("a reference back to a group");
        if (is_letter_or_digit(c)) unsupported(fmt::format("\\{}", static_cast<char>(c)));
        return one(c);
    }
  }

  CharSet char_class() {
    const bool negative = take('^');
    CharSet set;
    const auto element = [&](CharSet& one) {
      if (at_ >= text_.size()) invalid("a class without an end");
      if (take('\\')) return escape(one, /*in_class=*/true);
      const char32_t c = text_[at_++];
      return one = {{c, c}}, true;
    };
    while (!take(']')) {
      CharSet low, high;
      const bool single = element(low);
      if (single && next_is('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        if (element(high)) {
          if (low[0].first > high[0].first) invalid("a range whose ends are the wrong way round");
          set.emplace_back(low[0].first, high[0].first);
          continue;
        }
        set.emplace_back('-', '-');
        set.insert(set.end(), high.begin(), high.end());
      }
      set.insert(set.end(), low.begin(), low.end());
    }
    set = char_set(std::move(set));
    return negative ? other_chars(set) : other_chars(other_chars(set));  // without surrogates
  }

  const std::string& where_;
  std::vector<char32_t> text_;
  size_t at_ = 0;
};

bool is_begin(const PatternPart& part) { return part.kind == PatternPart::Kind::kChars && part.chars == CharSet{{Languages::kBegin, Languages::kBegin}}; }

// `part` and then `after`: a look-ahead is an intersection with all that follows it. `begun`: right behind the frame's beginning,
// which ^ has read already.
Term language_of(Languages& languages, const PatternPart& part, Term after, bool begun) {
  switch (part.kind) {
    case PatternPart::Kind::kChars: return begun && is_begin(part) ? after : languages.concat(languages.one_of(part.chars), after);
    case PatternPart::Kind::kSequence: {
      std::vector<bool> at(part.parts.size());
      for (size_t i = 0; i < part.parts.size(); ++i) {
        at[i] = begun;
        begun = is_begin(part.parts[i]) || (begun && part.parts[i].kind == PatternPart::Kind::kAhead);
      }
      for (size_t i = part.parts.size(); i-- > 0;) after = language_of(languages, part.parts[i], after, at[i]);
      return after;
    }
    case PatternPart::Kind::kChoice: {
      Term all = languages.nothing();
      for (const PatternPart& one : part.parts) all = languages.either(all, language_of(languages, one, part.looks ? after : languages.empty(), begun));
      return part.looks ? all : languages.concat(all, after);
    }
    case PatternPart::Kind::kRepeat: {
      if (!part.looks) return languages.concat(languages.repeat(language_of(languages, part.parts[0], languages.empty(), /*begun=*/false), part.low, part.high), after);
      if (part.high == 0) return after;
      const Term once = language_of(languages, part.parts[0], after, begun);
      return part.low == 0 ? languages.either(once, after) : once;
    }
    case PatternPart::Kind::kAhead: {
      const Term ahead = language_of(languages, part.parts[0], languages.everything(), begun);
      return languages.both(part.negative ? languages.complement(ahead) : ahead, after);
    }
  }
  return languages.nothing();
}

}  // namespace

Languages::Term pattern_language(Languages& languages, std::string_view pattern, const std::string& where) {
  if (pattern.size() > kMaxPattern) throw Error(ErrorCode::kUnsupported, where, fmt::format("patterns of at most {} bytes are followed", kMaxPattern));
  const PatternPart part = PatternParser(pattern, where).whole();
  return languages.concat(languages.everything(), language_of(languages, part, languages.everything(), /*begun=*/false));
}

}  // namespace hone::serve
