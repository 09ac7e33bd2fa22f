#include "data/plain_json.h"

#include <charconv>
#include <cstdint>
#include <cstring>

namespace hone::data {
namespace {

class Reader {
 public:
  Reader(std::string_view bytes, int max_nesting) : at_(bytes.data()), end_(bytes.data() + bytes.size()), left_(max_nesting) {}

  bool document(Json& value) {
    skip_space();
    if (!read(value)) return false;
    skip_space();
    return at_ == end_;
  }

 private:
  void skip_space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view expected) {
    if (static_cast<size_t>(end_ - at_) < expected.size() || std::memcmp(at_, expected.data(), expected.size()) != 0) return false;
    at_ += expected.size();
    return true;
  }

  bool read(Json& value) {
    if (at_ == end_) return false;
    switch (*at_) {
      case '"': {
        std::string text;
        if (!string(text)) return false;
        value = std::move(text);
        return true;
      }
      case '{': return object(value);
      case '[': return array(value);
      case 't': value = true; return word("true");
      case 'f': value = false; return word("false");
      case 'n': value = nullptr; return word("null");
      default: return integer(value);
    }
  }

  // Fractions, exponents and what does not fit are left to the other reader.
  bool integer(Json& value) {
    const char* begin = at_ + (*at_ == '-');
    if (begin == end_ || *begin < '0' || *begin > '9' || (*begin == '0' && begin + 1 < end_ && begin[1] >= '0' && begin[1] <= '9')) return false;
    int64_t number = 0;
    const auto [after, problem] = std::from_chars(at_, end_, number);
    if (problem != std::errc() || (after < end_ && (*after == '.' || *after == 'e' || *after == 'E')) || (number == 0 && *at_ == '-')) return false;
    at_ = after;
    if (number < 0) value = number;
    else value = static_cast<uint64_t>(number);
    return true;
  }

  // Bytes from at_ that stand for themselves inside a string.
  const char* plain_run() const {
    constexpr uint64_t kOnes = 0x0101010101010101u, kHigh = 0x8080808080808080u;
    const char* p = at_;
    for (; end_ - p >= 8; p += 8) {
      uint64_t w = 0;
      std::memcpy(&w, p, sizeof w);
      const uint64_t quote = w ^ (kOnes * '"'), slash = w ^ (kOnes * '\\');
      // A byte below 0x20, a quote or a backslash (a byte ≥ 0x80 never counts: its high bit is masked).
      // A borrow may mark a byte too many; the loop below looks again.
      if (((w - kOnes * 0x20) | (quote - kOnes) | (slash - kOnes)) & ~w & kHigh) break;
    }
    while (p < end_ && *p != '"' && *p != '\\' && static_cast<unsigned char>(*p) >= 0x20) ++p;
    return p;
  }

  bool string(std::string& text) {
    ++at_;
    for (;;) {
      const char* stop = plain_run();
      text.append(at_, stop);
      at_ = stop;
      if (at_ == end_) return false;
      if (*at_ == '"') {
        ++at_;
        return true;
      }
      if (*at_ != '\\' || end_ - at_ < 2) return false;
      ++at_;
      switch (*at_++) {
        case '"': text += '"'; break;
        case '\\': text += '\\'; break;
        case '/': text += '/'; break;
        case 'b': text += '\b'; break;
        case 'f': text += '\f'; break;
        case 'n': text += '\n'; break;
        case 'r': text += '\r'; break;
        case 't': text += '\t'; break;
        case 'u':
          if (!code_point(text)) return false;
          break;
        default: return false;
      }
    }
  }

  bool hex(uint32_t& value) {
    if (end_ - at_ < 4) return false;
    const auto [after, problem] = std::from_chars(at_, at_ + 4, value, 16);
    if (problem != std::errc() || after != at_ + 4) return false;
    at_ += 4;
    return true;
  }

  bool code_point(std::string& text) {
    uint32_t c = 0, low = 0;
    if (!hex(c) || (c >= 0xDC00 && c <= 0xDFFF)) return false;
    if (c >= 0xD800 && c <= 0xDBFF) {
      if (!word("\\u") || !hex(low) || low < 0xDC00 || low > 0xDFFF) return false;
      c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    const auto put = [&](uint32_t byte) { text += static_cast<char>(byte); };
    if (c < 0x80) return put(c), true;
    if (c < 0x800) return put(0xC0 | c >> 6), put(0x80 | (c & 63)), true;
    if (c < 0x10000) return put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63)), true;
    return put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 63)), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63)), true;
  }

  bool array(Json& value) {
    if (--left_ < 0) return false;
    ++at_;
    value = Json::array();
    skip_space();
    if (take(']')) return ++left_, true;
    do {
      skip_space();
      Json item;
      if (!read(item)) return false;
      value.push_back(std::move(item));
      skip_space();
    } while (take(','));
    ++left_;
    return take(']');
  }

  bool object(Json& value) {
    if (--left_ < 0) return false;
    ++at_;
    value = Json::object();
    skip_space();
    if (take('}')) return ++left_, true;
    do {
      skip_space();
      if (at_ == end_ || *at_ != '"') return false;
      std::string key;
      if (!string(key)) return false;
      skip_space();
      if (!take(':')) return false;
      skip_space();
      if (value.contains(key)) return false;
      Json item;
      if (!read(item)) return false;
      value[std::move(key)] = std::move(item);
      skip_space();
    } while (take(','));
    ++left_;
    return take('}');
  }

  const char *at_, *end_;
  int left_;  // levels of brackets that may still open
};

}  // namespace

bool read_plain_json(std::string_view bytes, int max_nesting, Json& value) { return Reader(bytes, max_nesting).document(value); }

}  // namespace hone::data
