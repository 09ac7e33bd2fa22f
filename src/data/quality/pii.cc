#include "data/quality/pii.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace hone::data {
namespace {

using namespace std::string_view_literals;

bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool word(char c) { return digit(c) || letter(c); }
bool hex(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

constexpr std::array<std::string_view, kPiiKinds> kPiiNames = {"email", "phone", "resident_id", "bank_card", "ip_address", "secret"};

struct KeyPrefix {
  std::string_view prefix;
  size_t least;  // characters behind the prefix
};
constexpr std::array<KeyPrefix, 17> kKeyPrefixes = {{{"sk-"sv, 20}, {"pk_live_"sv, 16}, {"sk_live_"sv, 16}, {"AKIA"sv, 16}, {"ASIA"sv, 16}, {"ghp_"sv, 30}, {"gho_"sv, 30},
                                                     {"ghs_"sv, 30}, {"github_pat_"sv, 30}, {"glpat-"sv, 20}, {"hf_"sv, 30}, {"xoxb-"sv, 20}, {"xoxp-"sv, 20}, {"AIza"sv, 35},
                                                     {"LTAI"sv, 12}, {"npm_"sv, 36}, {"ya29."sv, 30}}};
constexpr std::array<std::string_view, 9> kSecretWords = {"api_key", "apikey", "api-key", "secret", "token", "password", "passwd", "access_key", "密码"};

// Characters at which a hint may begin, or, for e-mail, its @.
constexpr std::array<bool, 256> kBegins = [] {
  std::array<bool, 256> begins{};
  const auto mark = [&](std::string_view characters) {
    for (const char c : characters) begins[static_cast<unsigned char>(c)] = true;
  };
  mark("0123456789+(@-:abcdefABCDEF");
  for (const KeyPrefix& key : kKeyPrefixes) mark(key.prefix.substr(0, 1));
  for (const std::string_view name : kSecretWords) {
    mark(name.substr(0, 1));
    if (name[0] >= 'a' && name[0] <= 'z') begins[static_cast<unsigned char>(name[0] - 32)] = true;
  }
  return begins;
}();

// Characters of a key: letters, digits, - and _. No key is longer, and a text of nothing else is not read again and again.
constexpr size_t kLongestKey = 512;
size_t key_end(std::string_view text, size_t at) {
  const size_t limit = std::min(text.size(), at + kLongestKey);
  while (at < limit && (word(text[at]) || text[at] == '_' || text[at] == '-')) ++at;
  return at;
}

// Bits per character of what is written.
double entropy(std::string_view text) {
  std::array<int, 256> count{};
  for (const char c : text) ++count[static_cast<unsigned char>(c)];
  double bits = 0;
  for (const int n : count) {
    if (n == 0) continue;
    const double p = n / static_cast<double>(text.size());
    bits -= p * std::log2(p);
  }
  return bits;
}

bool mixed_characters(std::string_view key) {
  return std::any_of(key.begin(), key.end(), digit) && std::any_of(key.begin(), key.end(), letter);
}

class Finder {
 public:
  explicit Finder(std::string_view text) : text_(text) {}

  std::vector<PiiHint> run() {
    for (size_t i = 0; i < text_.size();) {
      if (!kBegins[static_cast<unsigned char>(text_[i])]) {
        ++i;
        continue;
      }
      const size_t end = found_at(i);
      i = end > i ? end : i + 1;
    }
    return std::move(hints_);
  }

 private:
  char at(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  char before(size_t i) const { return i > 0 ? text_[i - 1] : '\0'; }
  size_t add(PiiKind kind, size_t begin, size_t end) {
    hints_.push_back({kind, begin, end});
    return end;
  }

  // The end of a hint that begins (or, for e-mail, has its @) at i; 0: there is none.
  size_t found_at(size_t i) {
    const char c = text_[i];
    if (digit(c) || c == '+' || c == '(') {
      const bool fraction = before(i) == '.' && i > 1 && digit(text_[i - 2]);
      if (word(before(i)) || before(i) == '_' || fraction) return skip_word(i);
      if (const size_t end = ip6(i)) return end;
      return number(i);
    }
    if (c == '@') return email(i);
    if (c == '-' && text_.substr(i, 11) == "-----BEGIN ") return private_key(i);
    if (letter(c) && !word(before(i))) {
      if (const size_t end = secret(i)) return end;
      return hex(c) ? ip6(i) : 0;
    }
    if (c == ':' && at(i + 1) == ':') return ip6(i);
    return static_cast<unsigned char>(c) == 0xE5 ? named_secret(i) : 0;
  }

  // Digits in the middle of a word are part of it.
  size_t skip_word(size_t i) const {
    while (i < text_.size() && digit(text_[i])) ++i;
    return i;
  }

  size_t email(size_t sign) {
    const auto local = [](char c) { return word(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-'; };
    const size_t floor = hints_.empty() ? 0 : hints_.back().end;
    size_t begin = sign, end = sign + 1;
    while (begin > floor && local(text_[begin - 1])) --begin;
    while (begin < sign && !word(text_[begin])) ++begin;
    while (end < text_.size() && (word(text_[end]) || text_[end] == '.' || text_[end] == '-')) ++end;
    while (end > sign + 1 && !word(text_[end - 1])) --end;
    const std::string_view domain = text_.substr(sign + 1, end - sign - 1);
    const size_t dot = domain.rfind('.');
    if (begin == sign || dot == std::string_view::npos || dot == 0 || domain.size() - dot < 3 || domain.find("..") != std::string_view::npos) return 0;
    if (!std::all_of(domain.begin() + static_cast<std::ptrdiff_t>(dot) + 1, domain.end(), letter)) return 0;
    return add(PiiKind::kEmail, begin, end);
  }

  // A run of digits with single separators inside; at most 24 digits are looked at.
  size_t number(size_t begin) {
    std::string digits;
    std::vector<size_t> ends;  // end of the run after so many digits
    std::string shape;         // digits as 0, separators as they are
    size_t i = begin;
    if (at(i) == '+') shape += text_[i++];
    while (i < text_.size() && digits.size() < 24) {
      const char c = text_[i];
      if (digit(c)) {
        digits += c, shape += '0';
        ends.push_back(++i);
      } else if ((c == ' ' || c == '-' || c == '.' || c == '(' || c == ')') && (digit(at(i + 1)) || at(i + 1) == '(' || ((c == ')' || c == '-') && at(i + 1) == ' ' && digit(at(i + 2))))) {
        shape += c, ++i;
      } else {
        break;
      }
    }
    if (digits.empty()) return 0;
    const size_t end = ends.back();
    if (digits.size() == 17 && (at(end) == 'X' || at(end) == 'x') && !word(at(end + 1)) && end - begin == 17 && is_resident_id(text_.substr(begin, 18)))
      return add(PiiKind::kResidentId, begin, end + 1);
    if (letter(at(end)) || at(end) == '_') return 0;
    const std::string_view run = text_.substr(begin, end - begin);
    if (digits.size() == 18 && run.size() == 18 && is_resident_id(run)) return add(PiiKind::kResidentId, begin, end);
    if (is_ip4(run)) return before(begin) == '.' || (at(end) == '.' && digit(at(end + 1))) ? end : add(PiiKind::kIpAddress, begin, end);
    if (is_card(digits, shape)) return add(PiiKind::kBankCard, begin, end);
    if (is_phone(digits, shape)) return add(PiiKind::kPhone, begin, end);
    // Several numbers in a row, as in a list: the first on its own, then the next.
    const size_t first = run.find_first_of(" .-()", 1);
    if (first != std::string_view::npos && shape[0] != '+' && shape[0] != '(') {
      const std::string_view alone = run.substr(0, first);
      if (std::all_of(alone.begin(), alone.end(), digit)) {
        if (alone.size() == 18 && is_resident_id(alone)) return add(PiiKind::kResidentId, begin, begin + first);
        if (is_mobile(alone)) return add(PiiKind::kPhone, begin, begin + first);
      }
      return begin + first;
    }
    return ends.front() > begin + 1 ? 0 : end;
  }

  static bool is_mobile(std::string_view digits) { return digits.size() == 11 && digits[0] == '1' && digits[1] >= '3' && digits[1] <= '9'; }

  static bool is_phone(const std::string& digits, const std::string& shape) {
    const bool plus = shape.starts_with('+');
    const size_t n = digits.size();
    if (plus) return n >= 8 && n <= 15 && digits[0] != '0' && shape.find('.') == std::string::npos;
    if (shape.find('.') != std::string::npos) return false;
    if (is_mobile(digits)) return shape == "00000000000" || shape == "000-0000-0000" || shape == "000 0000 0000";
    if (n == 13 && digits.starts_with("86") && is_mobile(std::string_view(digits).substr(2))) return shape == std::string(13, '0') || shape.starts_with("00-0") || shape.starts_with("00 0");
    static constexpr std::array<std::string_view, 9> kShapes = {"000-00000000", "0000-0000000", "0000-00000000", "(000)00000000", "(0000)0000000", "(0000)00000000",  // landlines
                                                                "000-000-0000", "(000) 000-0000", "(000)000-0000"};
    const auto found = std::find(kShapes.begin(), kShapes.end(), shape);
    if (found == kShapes.end()) return false;
    return found - kShapes.begin() < 6 ? digits[0] == '0' && digits[1] != '0' : digits[0] >= '2' && digits[3] >= '2';
  }

  static bool is_card(const std::string& digits, const std::string& shape) {
    const size_t n = digits.size();
    if (n < 13 || n > 19 || shape.find_first_of("+.()") != std::string::npos) return false;
    if (shape.size() != n) {  // grouped by four, or as American Express writes it
      if (!shape.starts_with("0000-0000-0000-") && !shape.starts_with("0000 0000 0000 ") && shape != "0000 000000 00000" && shape != "0000-000000-00000") return false;
    }
    const int two = (digits[0] - '0') * 10 + digits[1] - '0', four = two * 100 + (digits[2] - '0') * 10 + digits[3] - '0';
    const bool visa = digits[0] == '4' && (n == 13 || n == 16 || n == 19), master = n == 16 && ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720));
    const bool amex = n == 15 && (two == 34 || two == 37), union_pay = two == 62 && n >= 16, others = n == 16 && (four == 6011 || two == 65 || two == 35);
    return (visa || master || amex || union_pay || others) && digits.find_first_not_of(digits[n - 1]) < n - 1 && passes_luhn(digits);
  }

  bool is_ip4(std::string_view run) const {
    int parts = 1, value = 0, length = 0;
    for (const char c : run) {
      if (c == '.') {
        if (length == 0) return false;
        ++parts, value = 0, length = 0;
      } else if (digit(c)) {
        value = value * 10 + (c - '0');
        if (++length > 3 || value > 255 || (length > 1 && value < 10)) return false;
      } else {
        return false;
      }
    }
    return parts == 4 && length > 0 && !run.starts_with("127.") && !run.starts_with("0.") && !run.starts_with("255.");
  }

  size_t ip6(size_t begin) {
    if (word(before(begin)) || before(begin) == ':') return 0;
    size_t end = begin;
    int colons = 0, digits = 0;
    for (; end < text_.size() && (hex(text_[end]) || text_[end] == ':') && end - begin < 40; ++end) (text_[end] == ':' ? colons : digits) += 1;
    if (end > begin && text_[end - 1] == ':' && !text_.substr(begin, end - begin).ends_with("::")) --end, --colons;
    if (colons < 3 || digits < 8 || word(at(end))) return 0;
    const std::string address(text_.substr(begin, end - begin));
    in6_addr parsed{};
    if (::inet_pton(AF_INET6, address.c_str(), &parsed) != 1) return 0;
    return add(PiiKind::kIpAddress, begin, end);
  }

  size_t private_key(size_t begin) {
    const size_t end = text_.substr(begin, 64).find("PRIVATE KEY-----");
    return end == std::string_view::npos ? 0 : add(PiiKind::kSecret, begin, begin + end + 16);
  }

  size_t secret(size_t i) {
    const std::string_view rest = text_.substr(i);
    for (const auto& [prefix, least] : kKeyPrefixes) {
      if (rest[0] != prefix[0] || !rest.starts_with(prefix)) continue;
      const size_t end = key_end(text_, i + prefix.size());
      if (end - i - prefix.size() >= least && mixed_characters(text_.substr(i + prefix.size(), end - i - prefix.size()))) return add(PiiKind::kSecret, i, end);
    }
    if (rest[0] == 'e' && rest.starts_with("eyJ")) {  // header.payload.signature
      const size_t first = key_end(text_, i), second = at(first) == '.' ? key_end(text_, first + 1) : first, third = at(second) == '.' ? key_end(text_, second + 1) : second;
      if (first - i >= 16 && second - first >= 16 && third - second >= 16) return add(PiiKind::kSecret, i, third);
    }
    return named_secret(i);
  }

  // password = "…", api_key: …
  size_t named_secret(size_t i) {
    for (const std::string_view name : kSecretWords) {
      if (lower(text_[i]) != name[0] || text_.size() - i < name.size()) continue;
      if (!std::equal(name.begin(), name.end(), text_.begin() + static_cast<std::ptrdiff_t>(i), [](char a, char b) { return a == lower(b); })) continue;
      size_t p = i + name.size();
      while (at(p) == '"' || at(p) == '\'' || at(p) == ' ') ++p;
      if (at(p) != '=' && at(p) != ':') continue;
      ++p;
      while (at(p) == '"' || at(p) == '\'' || at(p) == ' ') ++p;
      const size_t end = key_end(text_, p);
      const std::string_view value = text_.substr(p, end - p);
      if (value.size() >= 16 && mixed_characters(value) && entropy(value) >= 3) return add(PiiKind::kSecret, p, end);
    }
    return 0;
  }

  std::string_view text_;
  std::vector<PiiHint> hints_;
};

}  // namespace

std::string_view name(PiiKind kind) { return kPiiNames[static_cast<size_t>(kind)]; }

bool passes_luhn(std::string_view digits) {
  int sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    int d = digits[digits.size() - 1 - i] - '0';
    if (i % 2 == 1) d = d * 2 > 9 ? d * 2 - 9 : d * 2;
    sum += d;
  }
  return !digits.empty() && sum % 10 == 0;
}

// Σ weight · digit mod 11 chooses the last character from "10X98765432".
bool is_resident_id(std::string_view text) {
  if (text.size() != 18 || !std::all_of(text.begin(), text.begin() + 17, digit)) return false;
  const auto value = [&](size_t begin, size_t count) {
    int v = 0;
    for (size_t i = begin; i < begin + count; ++i) v = v * 10 + (text[i] - '0');
    return v;
  };
  const int year = value(6, 4), month = value(10, 2), day = value(12, 2);
  if (text[0] == '0' || year < 1900 || year > 2099 || month < 1 || month > 12 || day < 1 || day > 31) return false;
  static constexpr std::array<int, 17> kWeights = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
  int sum = 0;
  for (size_t i = 0; i < 17; ++i) sum += kWeights[i] * (text[i] - '0');
  const char last = text[17] == 'x' ? 'X' : text[17];
  return "10X98765432"[sum % 11] == last;
}

std::vector<PiiHint> find_pii(std::string_view text) { return Finder(text).run(); }

std::string masked(PiiKind kind, std::string_view text) {
  const auto hidden = [](std::string_view part, size_t front, size_t back) {
    if (part.size() <= front + back) return std::string(part.size(), '*');
    return std::string(part.substr(0, front)) + std::string(std::min<size_t>(part.size() - front - back, 12), '*') + std::string(part.substr(part.size() - back));
  };
  if (kind == PiiKind::kEmail) {
    const size_t sign = text.find('@'), dot = text.rfind('.');
    return std::string(text.substr(0, 1)) + "***@" + std::string(text.substr(sign + 1, 1)) + "***" + std::string(text.substr(dot));
  }
  if (kind == PiiKind::kSecret) return hidden(text, 4, 0);
  if (kind == PiiKind::kIpAddress) return hidden(text, 3, 0);
  return hidden(text, 3, 3);
}

}  // namespace hone::data
