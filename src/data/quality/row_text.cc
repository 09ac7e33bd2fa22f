#include "data/quality/row_text.h"

#include <algorithm>
#include <array>

#include "text/unicode.h"

namespace hone::data {
namespace {

void append_line(std::string& text, std::string_view line) {
  if (!text.empty()) text += '\n';
  text += line;
}

bool separates(uint32_t c) {
  return (c >= 0x2000 && c <= 0x206F) || (c >= 0x3000 && c <= 0x303F && c != 0x3005 && c != 0x3007) || (c >= 0xFF01 && c <= 0xFF0F) || (c >= 0xFF1A && c <= 0xFF20) ||
         (c >= 0xFF3B && c <= 0xFF40) || (c >= 0xFF5B && c <= 0xFF65) || c == 0xA0 || c == 0xB7 || c == 0xFEFF;
}

}  // namespace

RowText text_of(const Example& example) {
  RowText text;
  if (example.kind == Example::Kind::kText) {
    text.answer = text.last_answer = example.text;
    text.first_prompt = example.text;
  } else if (example.kind == Example::Kind::kCompletion) {
    text.prompt = text.first_prompt = example.prompt;
    text.answer = text.last_answer = example.completion;
  } else {
    for (const Json& message : example.messages) {
      const auto& role = message["role"].get_ref<const std::string&>();
      const auto& content = message["content"].get_ref<const std::string&>();
      if (role == "assistant") {
        std::string words = content;
        if (message.contains("tool_calls")) words += message["tool_calls"].dump(-1, ' ', false, Json::error_handler_t::replace);
        append_line(text.answer, words);
        text.last_answer = std::move(words);
      } else if (role != "system") {
        if (text.first_prompt.empty()) text.first_prompt = content;
        append_line(text.prompt, content);
      }
    }
  }
  return text;
}

namespace {

// An ASCII character as it is compared; 0: it separates.
constexpr std::array<char, 128> kPlain = [] {
  std::array<char, 128> plain{};
  for (int c = '0'; c <= '9'; ++c) plain[static_cast<size_t>(c)] = static_cast<char>(c);
  for (int c = 'a'; c <= 'z'; ++c) plain[static_cast<size_t>(c)] = plain[static_cast<size_t>(c - 32)] = static_cast<char>(c);
  return plain;
}();

}  // namespace

std::string normalized(std::string_view text) {
  std::string out(text.size(), '\0');  // never longer: every space stands for a byte or more
  char* to = out.data();
  bool gap = false;
  const auto space = [&] {
    if (gap && to != out.data()) *to++ = ' ';
    gap = false;
  };
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      ++i;
      if (const char plain = kPlain[byte]; plain != 0) {
        space();
        *to++ = plain;
      } else {
        gap = true;
      }
      continue;
    }
    const size_t length = text::utf8_length(text.substr(i));
    if (length == 0) {
      gap = true;
      ++i;
      continue;
    }
    const uint32_t c = text::utf8_code_point(text.substr(i));
    if (separates(c)) {
      gap = true;
    } else if (c >= 0xFF10 && c <= 0xFF5A) {  // full-width digits and letters (what lies between them separates)
      space();
      *to++ = kPlain[c - 0xFEE0];
    } else {
      space();
      to = std::copy_n(text.data() + i, length, to);
    }
    i += length;
  }
  out.resize(static_cast<size_t>(to - out.data()));
  return out;
}

std::string excerpt(std::string_view text, size_t characters) {
  std::string out;
  size_t count = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t length = text::utf8_length(text.substr(i));
    if (count == characters) return out + "…";
    const auto byte = static_cast<unsigned char>(text[i]);
    if (length == 0) out += "\xEF\xBF\xBD";
    else if (length == 1 && (byte < 0x20 || byte == 0x7F)) out += ' ';
    else if (length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0) out += ' ';
    else out += text.substr(i, length);
    i += length == 0 ? 1 : length;
    ++count;
  }
  return out;
}

}  // namespace hone::data
