#include "text/added_tokens.h"

#include <fmt/format.h>

#include "text/pattern.h"
#include "text/unicode.h"
#include "text/unicode_stand_ins.h"

namespace hone::text {
namespace {

// Where the character before text[at] begins.
size_t previous(std::string_view text, size_t at) {
  size_t i = at - 1;
  while (i > 0 && (static_cast<uint8_t>(text[i]) & 0xC0) == 0x80) --i;
  return i;
}

bool is_word(std::string_view character) {
  static const Pattern word(fmt::format("[{}]", kRustWord), "single_word");
  const auto stand_in = with_stand_ins(character);
  bool found = false;
  word.each_match(stand_in ? *stand_in : character, [&](size_t, size_t) { found = true; });
  return found;
}

}  // namespace

void AddedTokenIndex::build(const std::vector<AddedToken>& tokens, bool normalized) {
  token_of_node_.assign(1, -1);
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].normalized != normalized || tokens[i].content.empty()) continue;
    const std::string& content = tokens[i].content;
    uint32_t node = 0;
    for (const char c : content) {
      const auto [edge, fresh] = edges_.try_emplace(uint64_t{node} << 8 | static_cast<uint8_t>(c), static_cast<uint32_t>(token_of_node_.size()));
      if (fresh) token_of_node_.push_back(-1);
      node = edge->second;
    }
    token_of_node_[node] = static_cast<int>(i);
    starts_[static_cast<uint8_t>(content[0])] = true;
  }
}

AddedTokenIndex::Match AddedTokenIndex::find(const std::vector<AddedToken>& tokens, std::string_view text, size_t at, bool special) const {
  const size_t floor = at;
  while (at < text.size()) {
    if (!starts_[static_cast<uint8_t>(text[at])]) {
      ++at;
      continue;
    }
    int longest = -1;
    size_t end = at;
    uint32_t node = 0;
    for (size_t i = at; i < text.size(); ++i) {
      const auto edge = edges_.find(uint64_t{node} << 8 | static_cast<uint8_t>(text[i]));
      if (edge == edges_.end()) break;
      node = edge->second;
      if (token_of_node_[node] >= 0) {
        longest = token_of_node_[node];
        end = i + 1;
      }
    }
    if (longest < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens[static_cast<size_t>(longest)];
    const bool inside_word = token.single_word && ((at > 0 && is_word(text.substr(previous(text, at), at - previous(text, at)))) ||
                                                   (end < text.size() && is_word(text.substr(end, utf8_length(text.substr(end))))));
    if ((token.special && !special) || inside_word) {
      at = end;
      continue;
    }
    Match match{longest, at, end};
    while (token.lstrip && match.begin > floor) {
      const size_t before = previous(text, match.begin);
      if (!is_white_space(utf8_code_point(text.substr(before)))) break;
      match.begin = before;
    }
    while (token.rstrip && match.end < text.size() && is_white_space(utf8_code_point(text.substr(match.end))))
      match.end += utf8_length(text.substr(match.end));
    return match;
  }
  return {};
}

}  // namespace hone::text
