#include "text/jinja_lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>

#include "text/jinja_text.h"

namespace hone::text::jinja {
namespace {

constexpr size_t kMaxSource = size_t{1} << 20;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || static_cast<signed char>(c) < 0;
}

// "\r\n" and "\r" become "\n"; one newline at the very end is dropped.
std::string normalise_newlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<LexerToken> run() {
    while (position_ < source_.size()) root();
    push(TokenType::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void error(std::string message) const { throw SyntaxError{line_, std::move(message)}; }

  bool at(std::string_view what) const { return source_.compare(position_, what.size(), what) == 0; }

  void push(TokenType type, std::string text) { tokens_.push_back({type, line_, std::move(text)}); }

  // Moves to `end`, counting lines, and notes whether a line starts there.
  void advance(size_t end) {
    for (; position_ < end; ++position_) line_ += source_[position_] == '\n';
    line_starting_ = end > 0 && source_[end - 1] == '\n';
  }

  size_t skip_space(size_t i) const {
    while (i < source_.size()) {
      const CodePoint point = code_point_at(source_, i);
      if (!is_space(point.value)) break;
      i += point.length;
    }
    return i;
  }

  // Template text up to a tag that starts with `sign` ('-', '+' or none), stripped as the sign and lstrip_blocks say.
  std::string data_before(size_t tag, char sign, bool is_variable) const {
    std::string text = source_.substr(position_, tag - position_);
    if (sign == '-') return strip(Text(text), Side::kRight, nullptr).take_bytes();
    if (sign == '+' || is_variable) return text;
    const size_t newline = text.rfind('\n');
    if (newline == std::string::npos && !line_starting_) return text;
    const size_t line_start = newline == std::string::npos ? 0 : newline + 1;
    if (strip(Text(text.substr(line_start)), Side::kLeft, nullptr).empty()) text.resize(line_start);
    return text;
  }

  void root() {
    size_t tag = position_;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos || tag + 1 >= source_.size()) {
        push(TokenType::kData, source_.substr(position_));
        advance(source_.size());
        return;
      }
      const char kind = source_[tag + 1];
      if (kind == '{' || kind == '%' || kind == '#') break;
      ++tag;
    }
    const char kind = source_[tag + 1];
    size_t after = tag + 2;
    const char next = after < source_.size() ? source_[after] : '\0';
    const char sign = next == '-' || next == '+' ? next : '\0';
    if (sign) ++after;
    std::string data = data_before(tag, sign, kind == '{');
    if (!data.empty()) push(TokenType::kData, std::move(data));
    advance(after);
    if (kind == '#') {
      comment();
    } else if (kind == '%' && raw()) {
      return;
    } else {
      push(kind == '{' ? TokenType::kVariableBegin : TokenType::kBlockBegin, "");
      tag_body(kind == '{');
    }
  }

  // After the closing sign of a comment or block: '-' eats white space, none eats one newline, '+' nothing.
  void close(size_t end, char sign) {
    if (sign == '-') {
      end = skip_space(end);
    } else if (sign == '\0' && end < source_.size() && source_[end] == '\n') {
      ++end;
    }
    advance(end);
  }

  void comment() {
    const size_t end = source_.find("#}", position_);
    if (end == std::string::npos) error("a comment is not closed: expected #}");
    const char before = end > position_ ? source_[end - 1] : '\0';
    close(end + 2, before == '-' || before == '+' ? before : '\0');
  }

  // "{% raw %} … {% endraw %}" after its "{%"; false when the block is another one.
  bool raw() {
    size_t i = skip_space(position_);
    if (source_.compare(i, 3, "raw") != 0) return false;
    i = skip_space(i + 3);
    const bool strips = source_.compare(i, 3, "-%}") == 0;
    if (!strips && source_.compare(i, 2, "%}") != 0) return false;
    advance(strips ? skip_space(i + 3) : i + 2);
    for (size_t tag = source_.find("{%", position_); tag != std::string::npos; tag = source_.find("{%", tag + 1)) {
      size_t after = tag + 2;
      const char next = after < source_.size() ? source_[after] : '\0';
      const char sign = next == '-' || next == '+' ? next : '\0';
      after = skip_space(after + (sign != '\0'));
      if (source_.compare(after, 6, "endraw") != 0) continue;
      after = skip_space(after + 6);
      const char closing = after < source_.size() && (source_[after] == '-' || source_[after] == '+') ? source_[after]
                                                                                                      : '\0';
      if (source_.compare(after + (closing != '\0'), 2, "%}") != 0) continue;
      std::string data = data_before(tag, sign, /*is_variable=*/false);
      if (!data.empty()) push(TokenType::kData, std::move(data));
      close(after + (closing != '\0') + 2, closing);
      return true;
    }
    error("a raw block is not closed: expected {% endraw %}");
  }

  void tag_body(bool is_variable) {
    const int begin_line = line_;
    std::string open;  // brackets that wait for their partner
    while (true) {
      if (position_ >= source_.size()) {
        throw SyntaxError{begin_line, is_variable ? "{{ is not closed: expected }}" : "{% is not closed: expected %}"};
      }
      if (open.empty() && tag_end(is_variable)) return;
      const size_t space = skip_space(position_);
      if (space > position_) {
        advance(space);
        continue;
      }
      const char c = source_[position_];
      if (is_digit(c)) {
        number();
      } else if (is_word(c)) {
        size_t end = position_;
        while (end < source_.size() && is_word(source_[end])) ++end;
        push(TokenType::kName, source_.substr(position_, end - position_));
        advance(end);
      } else if (c == '\'' || c == '"') {
        string(c);
      } else {
        operation(open);
      }
    }
  }

  bool tag_end(bool is_variable) {
    const std::string_view closer = is_variable ? "}}" : "%}";
    const char c = source_[position_];
    const bool signed_end = (c == '-' || (c == '+' && !is_variable)) &&
                            source_.compare(position_ + 1, 2, closer) == 0;
    if (!signed_end && !at(closer)) return false;
    push(is_variable ? TokenType::kVariableEnd : TokenType::kBlockEnd, "");
    const size_t end = position_ + 2 + signed_end;
    if (is_variable) {
      advance(signed_end ? skip_space(end) : end);
    } else {
      close(end, signed_end ? c : '\0');
    }
    return true;
  }

  // Digits with single underscores between them; appended to `digits` without the underscores.
  size_t digits(size_t i, std::string& text) const {
    while (i < source_.size()) {
      if (is_digit(source_[i])) {
        text += source_[i++];
      } else if (source_[i] == '_' && i + 1 < source_.size() && is_digit(source_[i + 1]) && !text.empty()) {
        ++i;
      } else {
        break;
      }
    }
    return i;
  }

  void number() {
    const char second = position_ + 1 < source_.size() ? source_[position_ + 1] : '\0';
    int base = 10;
    if (source_[position_] == '0') {
      if (second == 'x' || second == 'X') base = 16;
      if (second == 'o' || second == 'O') base = 8;
      if (second == 'b' || second == 'B') base = 2;
    }
    std::string text;
    size_t end = position_;
    LexerToken token{TokenType::kInteger, line_, {}};
    if (base != 10) {
      for (end += 2; end < source_.size() && (std::isxdigit(static_cast<unsigned char>(source_[end])) ||
                                              source_[end] == '_'); ++end) {
        if (source_[end] != '_') text += source_[end];
      }
    } else {
      end = digits(end, text);
      std::string fraction, exponent;
      // A dot after a dot is an attribute (x.0.1), never a fraction.
      const bool after_dot = position_ > 0 && source_[position_ - 1] == '.';
      size_t next = end;
      if (!after_dot && next < source_.size() && source_[next] == '.') next = digits(next + 1, fraction);
      if (fraction.empty()) next = end;
      size_t mark = next;
      if (!after_dot && mark < source_.size() && (source_[mark] == 'e' || source_[mark] == 'E')) {
        ++mark;
        std::string sign;
        if (mark < source_.size() && (source_[mark] == '+' || source_[mark] == '-')) sign = source_[mark++];
        mark = digits(mark, exponent);
        if (!exponent.empty()) {
          exponent = "e" + sign + exponent;
          next = mark;
        }
      }
      if (!fraction.empty() || !exponent.empty()) {
        token.type = TokenType::kFloat;
        text += (fraction.empty() ? "" : "." + fraction) + exponent;
        token.real = std::strtod(text.c_str(), nullptr);
        end = next;
      }
    }
    if (token.type == TokenType::kInteger) {
      const auto result = std::from_chars(text.data(), text.data() + text.size(), token.integer, base);
      if (result.ec == std::errc::result_out_of_range) {
        throw SyntaxError{line_, fmt::format("the integer {} does not fit 64 bits", text), /*unsupported=*/true};
      }
      if (result.ec != std::errc() || result.ptr != text.data() + text.size()) error("malformed number");
    }
    token.text = text;
    tokens_.push_back(std::move(token));
    advance(end);
  }

  char32_t hex(size_t& i, size_t end, size_t count) const {
    char32_t value = 0;
    for (size_t k = 0; k < count; ++k, ++i) {
      if (i >= end || !std::isxdigit(static_cast<unsigned char>(source_[i]))) error("truncated escape in a string");
      const char c = source_[i];
      value = value * 16 + static_cast<char32_t>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) error("an escape in a string is not a character");
    return value;
  }

  void string(char quote) {
    size_t end = position_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) error(fmt::format("a string is not closed: expected {}", quote));
    std::string text;
    for (size_t i = position_ + 1; i < end;) {
      if (source_[i] != '\\') {
        text += source_[i++];
        continue;
      }
      const char c = source_[i + 1];
      i += 2;
      switch (c) {
        case '\n': break;
        case '\\': case '\'': case '"': text += c; break;
        case 'a': text += '\a'; break;
        case 'b': text += '\b'; break;
        case 'f': text += '\f'; break;
        case 'n': text += '\n'; break;
        case 'r': text += '\r'; break;
        case 't': text += '\t'; break;
        case 'v': text += '\v'; break;
        case 'x': append_utf8(text, hex(i, end, 2)); break;
        case 'u': append_utf8(text, hex(i, end, 4)); break;
        case 'U': append_utf8(text, hex(i, end, 8)); break;
        case 'N':
          throw SyntaxError{line_, "\\N{…} escapes are not supported: write the character", /*unsupported=*/true};
        default:
          if (c >= '0' && c <= '7') {
            char32_t value = static_cast<char32_t>(c - '0');
            for (int k = 0; k < 2 && i < end && source_[i] >= '0' && source_[i] <= '7'; ++k, ++i) {
              value = value * 8 + static_cast<char32_t>(source_[i] - '0');
            }
            append_utf8(text, value);
          } else {
            text += '\\';
            text += c;
          }
      }
    }
    push(TokenType::kString, std::move(text));
    advance(end + 1);
  }

  void operation(std::string& open) {
    static constexpr std::string_view kDouble[] = {"//", "**", "==", "!=", ">=", "<="};
    for (const std::string_view two : kDouble) {
      if (at(two)) {
        push(TokenType::kOperator, std::string(two));
        advance(position_ + 2);
        return;
      }
    }
    const char c = source_[position_];
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) {
      error(fmt::format("unexpected character '{}'", c));
    }
    if (c == '(' || c == '[' || c == '{') {
      open += c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
      if (open.empty()) error(fmt::format("unexpected '{}'", c));
      if (open.back() != c) error(fmt::format("unexpected '{}', expected '{}'", c, open.back()));
      open.pop_back();
    }
    push(TokenType::kOperator, std::string(1, c));
    advance(position_ + 1);
  }

  std::string source_;
  size_t position_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<LexerToken> tokens_;
};

}  // namespace

std::vector<LexerToken> tokenize(std::string_view source) {
  if (source.size() > kMaxSource) {
    throw SyntaxError{1, fmt::format("the template has {} bytes, more than {}", source.size(), kMaxSource)};
  }
  const size_t malformed = find_malformed_utf8(source);
  if (malformed != std::string_view::npos) {
    const auto line = 1 + std::count(source.begin(), source.begin() + static_cast<std::ptrdiff_t>(malformed), '\n');
    throw SyntaxError{static_cast<int>(line), fmt::format("byte {} is not UTF-8", malformed)};
  }
  return Lexer(normalise_newlines(source)).run();
}

}  // namespace hone::text::jinja
