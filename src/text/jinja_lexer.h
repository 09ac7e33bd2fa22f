// Tokens of a template, with the white space rules of the environment chat templates run in (trim_blocks and
// lstrip_blocks on, one trailing newline of the file dropped).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone::text::jinja {

enum class TokenType : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct LexerToken {
  TokenType type;
  int line;          // from 1
  std::string text;  // decoded text of data and strings; the spelling of names and operators
  int64_t integer = 0;
  double real = 0;
};

/// A place and a message; ChatTemplate turns it into an Error.
struct SyntaxError {
  int line;
  std::string message;
  bool unsupported = false;
};

/// All tokens, kEnd last. Throws SyntaxError.
std::vector<LexerToken> tokenize(std::string_view source);

}  // namespace hone::text::jinja
