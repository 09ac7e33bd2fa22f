// Regular languages of texts: terms that can be joined, cut and complemented, and the automata that read them.
//
// A term becomes an automaton by derivatives (Brzozowski, "Derivatives of regular expressions", 1964): the derivative of a
// language by a character is what may follow that character. Intersections and complements cost nothing there, so that a pattern,
// a format and a length of one schema, or a look-ahead within a pattern, are one automaton.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hone::serve {

/// Code points: inclusive ranges, sorted, disjoint.
using CharSet = std::vector<std::pair<char32_t, char32_t>>;
/// Any order, overlaps: made a CharSet.
CharSet char_set(CharSet ranges);
/// The characters of texts (all but surrogates) that are not in `set`.
CharSet other_chars(const CharSet& set);
/// Of valid UTF-8.
std::vector<char32_t> code_points(std::string_view utf8);

/// Reads a text character by character. From each state some text of the language can be completed: there are no dead ends.
class TextAutomaton {
 public:
  static constexpr uint32_t kDead = UINT32_MAX;
  static constexpr uint64_t kMany = uint64_t{1} << 40;

  uint32_t start() const { return start_; }  // kDead: the language is empty
  uint32_t next(uint32_t state, char32_t c) const;
  bool accepts(uint32_t state) const { return accepts_[state]; }
  /// Whether a character from `low` to `high` may come, and a text be completed with at most `room` more.
  bool may(uint32_t state, char32_t low, char32_t high, uint32_t room) const;
  /// Characters of the shortest text that can be completed from here.
  uint32_t shortest(uint32_t state) const { return shortest_[state]; }
  /// How many texts can be completed from here; kMany at most.
  uint64_t texts(uint32_t state) const { return texts_[state]; }
  bool holds(std::string_view utf8) const;

 private:
  friend class Languages;
  void finish(const std::vector<uint64_t>& class_sizes);
  std::vector<std::pair<char32_t, uint16_t>> segments_;  // first code point of each, its class; sorted
  std::array<uint16_t, 128> ascii_{};                    // class by character
  size_t classes_ = 0;
  std::vector<uint32_t> next_;                           // (states, classes)
  std::vector<bool> accepts_;
  std::vector<uint64_t> texts_;
  std::vector<uint32_t> shortest_;
  uint32_t start_ = kDead;
};

/// Makes terms; equal ones get one number. What hostile terms may cost is bounded: Error{kUnsupported} beyond it.
/// Texts are framed by two characters that no text has, kBegin and kEnd, so that anchors are characters as well.
class Languages {
 public:
  using Term = uint32_t;
  static constexpr char32_t kBegin = 0x110000, kEnd = 0x110001;
  static constexpr int64_t kUnbounded = -1;

  Languages();
  Term nothing() const { return 0; }     // no text
  Term empty() const { return 1; }       // the text without characters
  Term everything() const { return 2; }  // all texts, frames included
  Term one_of(CharSet set);
  Term any_char();                       // of a text
  Term text(std::string_view utf8);
  Term concat(Term a, Term b);
  Term either(Term a, Term b);
  Term both(Term a, Term b);
  Term complement(Term a);
  Term repeat(Term a, int64_t low, int64_t high);
  /// ⊢ term ⊣: the whole text.
  Term framed(Term a);

  /// `where` names the schema's word in errors.
  std::shared_ptr<const TextAutomaton> automaton(Term term, const std::string& where);

 private:
  enum class Kind : uint8_t { kNothing, kEmpty, kChars, kConcat, kEither, kBoth, kNot, kRepeat };
  struct Node {
    Kind kind;
    bool nullable;
    uint32_t set = 0;             // kChars: index into sets_
    std::vector<Term> parts;      // sorted for kEither and kBoth
    int64_t low = 0, high = 0;    // kRepeat
  };
  Term add(Node node);
  Term join(Kind kind, Term a, Term b);
  Term derive(Term term, char32_t c, uint32_t key);
  void sets_of(Term term, std::vector<uint32_t>& sets) const;

  std::vector<Node> nodes_;
  std::vector<CharSet> sets_;
  std::unordered_map<std::string, Term> known_;
  std::unordered_map<uint64_t, Term> derived_;  // of the automaton that is being made
  size_t work_ = 0, cells_ = 0;                 // derivatives and table cells so far, over all automata
  std::string where_;
};

}  // namespace hone::serve
