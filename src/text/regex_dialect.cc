#include "text/regex_dialect.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/error.h"

namespace hone::text {
namespace {

// Oniguruma's \w; PCRE2's differs between versions.
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
constexpr std::string_view kHex = "0-9A-Fa-f";

class Translator {
 public:
  Translator(std::string_view regex, const std::string& where) : in_(regex), where_(where) {}

  std::string run() {
    while (at_ < in_.size()) item();
    return std::move(out_);
  }

 private:
  [[noreturn]] void unsupported(const std::string& what) const {
    throw Error(ErrorCode::kUnsupported, where_, fmt::format("pattern \"{}\": {} is not supported", in_, what),
                "hone translates the expressions that llama, qwen and deepseek tokenizers use");
  }
  bool next(std::string_view what) const { return in_.substr(at_).starts_with(what); }
  void begin_atom() { atom_ = out_.size(); }

  void item() {
    const char c = in_[at_];
    if (c == '\\') {
      begin_atom();
      escape(/*in_class=*/false);
    } else if (c == '[') {
      begin_atom();
      character_class();
    } else if (c == '(') {
      open();
    } else if (c == ')') {
      out_ += in_[at_++];
      if (!groups_.empty()) {
        atom_ = groups_.back();
        groups_.pop_back();
      }
    } else if (c == '{' && interval()) {
      return;
    } else {
      if (c != '*' && c != '+' && c != '?' && c != '|') begin_atom();
      out_ += in_[at_++];
    }
  }

  // \s and \S need nothing: U+180E, where the two disagree, never reaches a pattern (unicode_stand_ins.h).
  void escape(bool in_class) {
    if (at_ + 1 >= in_.size()) {
      out_ += in_[at_++];
      return;
    }
    const char c = in_[at_ + 1];
    at_ += 2;
    const auto set = [&](std::string_view members, bool negated) {
      if (in_class && negated) unsupported(fmt::format("\\{} inside a character class", c));
      out_ += in_class ? std::string(members) : fmt::format("[{}{}]", negated ? "^" : "", members);
    };
    switch (c) {
      case 'w': return set(kWord, false);
      case 'W': return set(kWord, true);
      case 'h': return set(kHex, false);
      case 'H': return set(kHex, true);
      case 'd': out_ += R"(\p{Nd})"; return;
      case 'D': out_ += R"(\P{Nd})"; return;
      case 'u':
        if (at_ + 4 > in_.size()) unsupported("\\u without four digits");
        out_ += fmt::format("\\x{{{}}}", in_.substr(at_, 4));
        at_ += 4;
        return;
      case 'b':
        if (in_class) break;
        out_ += fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", kWord);
        return;
      case 'B':
        if (in_class) break;
        out_ += fmt::format("(?:(?<=[{0}])(?=[{0}])|(?<![{0}])(?![{0}]))", kWord);
        return;
      case 'Q': case 'E': out_ += c; return;  // plain letters in Ruby, quoting in Perl
      case 'p': case 'P': return property(c);
      default: break;
    }
    out_ += '\\';
    out_ += c;
  }

  // Script names mean the Script property there and Script_Extensions here.
  void property(char p) {
    const size_t close = next("{") ? in_.find('}', at_) : std::string_view::npos;
    if (close == std::string_view::npos) unsupported("a property without braces");
    std::string name(in_.substr(at_ + 1, close - at_ - 1));
    at_ = close + 1;
    bool negated = p == 'P';
    if (name.starts_with("^")) {
      negated = !negated;
      name.erase(0, 1);
    }
    constexpr std::string_view kScripts[] = {"Han", "Hiragana", "Katakana", "Hangul", "Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Thai",
                                             "Devanagari", "Bengali", "Tamil", "Telugu", "Armenian", "Georgian", "Khmer", "Lao", "Myanmar", "Tibetan", "Mongolian"};
    if (std::find(std::begin(kScripts), std::end(kScripts), name) != std::end(kScripts)) name = "sc:" + name;
    out_ += fmt::format("\\{}{{{}}}", negated ? 'P' : 'p', name);
  }

  void character_class() {
    out_ += in_[at_++];
    if (next("^")) out_ += in_[at_++];
    if (next("]")) {  // a bracket in the first place is a member
      out_ += "\\]";
      ++at_;
    }
    while (at_ < in_.size() && in_[at_] != ']') {
      if (next("&&")) unsupported("an intersection of character classes");
      if (next("[:")) posix();
      else if (in_[at_] == '[') unsupported("a character class inside another");
      else if (in_[at_] == '\\') escape(/*in_class=*/true);
      else out_ += in_[at_++];
    }
    if (at_ < in_.size()) out_ += in_[at_++];
  }

  void posix() {
    const size_t close = in_.find(":]", at_ + 2);
    const std::string_view name = close == std::string_view::npos ? "" : in_.substr(at_ + 2, close - at_ - 2);
    if (name == "alpha") out_ += R"(\p{Alphabetic})";
    else if (name == "digit") out_ += R"(\p{Nd})";
    else if (name == "alnum") out_ += R"(\p{Alphabetic}\p{Nd})";
    else if (name == "space") out_ += R"(\s)";
    else if (name == "xdigit") out_ += kHex;
    else unsupported(fmt::format("the class [:{}:]", name));
    at_ = close + 2;
  }

  void open() {
    groups_.push_back(out_.size());
    out_ += in_[at_++];
    if (!next("?")) return;
    constexpr std::string_view kSame[] = {"?:", "?=", "?!", "?<=", "?<!", "?>"};
    for (const std::string_view kind : kSame)
      if (next(kind)) {
        out_ += kind;
        at_ += kind.size();
        return;
      }
    if (next("?#")) {
      while (at_ < in_.size() && in_[at_] != ')') out_ += in_[at_++];
      return;
    }
    const size_t end = in_.find_first_of(":)", at_);
    if (next("?<") || end == std::string_view::npos) {
      if (!next("?<")) unsupported("an unclosed group");
      out_ += in_[at_++];  // a named group
      return;
    }
    std::string flags(in_.substr(at_ + 1, end - at_ - 1));
    for (char& flag : flags) {
      if (flag == 'm') flag = 's';  // Ruby's m lets the dot match a newline
      else if (flag != 'i' && flag != 'x' && flag != '-') unsupported(fmt::format("the group (?{}", flags));
    }
    // In Ruby, a|(?i)b|c groups what follows; at the beginning the two mean the same.
    if (in_[end] == ')' && groups_.back() != 0) unsupported("an option in the middle of a pattern");
    out_ += "?" + flags;
    at_ = end;
    if (in_[end] == ':') out_ += in_[at_++];
  }

  // X{n,m}+ repeats in Ruby and is possessive in Perl; X{n}? is optional in Ruby; X{,m} begins at 0.
  bool interval() {
    size_t i = at_ + 1;
    std::string low, high;
    while (i < in_.size() && std::isdigit(static_cast<unsigned char>(in_[i]))) low += in_[i++];
    const bool comma = i < in_.size() && in_[i] == ',';
    if (comma) ++i;
    while (comma && i < in_.size() && std::isdigit(static_cast<unsigned char>(in_[i]))) high += in_[i++];
    if (i >= in_.size() || in_[i] != '}' || (low.empty() && high.empty())) return false;
    at_ = i + 1;
    out_ += fmt::format("{{{}{}{}}}", low.empty() ? "0" : low, comma ? "," : "", high);
    if (next("+") || (next("?") && !comma)) {
      out_.insert(atom_, "(?:");
      out_ += ')';
      out_ += in_[at_++];
    }
    return true;
  }

  std::string_view in_;
  const std::string& where_;
  size_t at_ = 0, atom_ = 0;
  std::string out_;
  std::vector<size_t> groups_;  // where each open group begins in out_
};

}  // namespace

std::string pcre_of_oniguruma(std::string_view regex, const std::string& where) {
  // deepseek-llm's pattern takes quadratic time on a long run of white space that does not end its line: each start tries the
  // whole run. A match can only begin where the run does, so the same ranges are found when the other starts fail at once.
  if (regex == R"(\s+$)") return R"((?<!\s)\s+$)";
  return Translator(regex, where).run();
}

}  // namespace hone::text
