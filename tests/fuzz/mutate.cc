#include "fuzz/mutate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/rng.h"

namespace hone::fuzz {
namespace {

constexpr uint64_t kIntegers[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 1023, 4096, 32767, 32768, 65535, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, uint64_t{1} << 32,
                                  uint64_t{1} << 40, uint64_t{1} << 60, (uint64_t{1} << 62) + 1, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFF8, 0xFFFFFFFFFFFFFFFF};
constexpr const char* kNumbers[] = {"0", "-0", "-1", "1", "2", "0.5", "-0.0", "1e308", "1e309", "-1e999", "1e-400", "1e5", "127", "128", "255", "256", "65536", "1048577", "2147483647", "2147483648", "-2147483649",
                                    "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615", "18446744073709551616", "99999999999999999999999", "NaN", "Infinity",
                                    "0x10", "1_000", "00", "1."};
constexpr const char* kPieces[] = {"\"", "\\", "\\u0000", "\\ud800", "\\udc00\\ud800", "null", "true", "[]", "{}", ",", ":", "\n", "\r\n", "\t", " ", "\xEF\xBB\xBF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF0\x9F\x98\x80",
                                   "\xE2\x80\x8D", "%", "{", "}", "[", "]", "(", ")", "'", "#", "-", ".", "..", "/", "$ref", "\xCC\x81", "\xEF\xBF\xBD"};
constexpr std::pair<const char*, const char*> kBrackets[] = {{"[", "]"}, {"{", "}"}, {"(", ")"}, {"\"", "\""}, {"{\"a\":", "}"}, {"[0,", "]"}, {"- ", ""}, {"-", ""}, {"not ", ""}, {"{% if 1 %}", "{% endif %}"},
                                                             {"{{ if 1 }}", "{{ end }}"}, {"(?:", ")*"}, {"((", "))+"}, {"&a [", "]"}, {"? ", ""}};

using Json = nlohmann::ordered_json;

class Mutator {
 public:
  Mutator(uint64_t seed, uint64_t index, const std::vector<std::string>& seeds, const std::vector<std::string>& dictionary)
      : rng_{seed ^ (index * 0x9E3779B97F4A7C15u), Rng::kMix, 0}, seeds_(seeds), dictionary_(dictionary) {}

  std::string input() {
    std::string text = seeds_[below(seeds_.size())];
    // JSON mostly stays JSON, so that what lies behind the parser is reached.
    if (text.starts_with('{') || text.starts_with('[')) {
      if (Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false); !json.is_discarded() && below(4) != 0) {
        for (uint64_t changes = 1 + below(uint64_t{1} << below(4)); changes > 0; --changes) change(json);
        text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
        if (text.size() > kMaxInput || below(4) != 0) return text.size() > kMaxInput ? std::string("{}") : text;
      }
    }
    for (uint64_t changes = 1 + below(uint64_t{1} << below(4)); changes > 0; --changes) {
      change(text);
      if (text.size() > kMaxInput) text.resize(kMaxInput);
    }
    return text;
  }

 private:
  uint64_t below(uint64_t n) { return rng_.below(drawn_++, n); }
  // Any place, those near the beginning more often: headers lie there.
  size_t place(const std::string& text, size_t room = 0) {
    const size_t last = text.size() >= room ? text.size() - room : 0;
    if (below(2) == 0) return below(last + 1);
    const double u = rng_.uniform(drawn_++);
    return std::min(last, static_cast<size_t>(static_cast<double>(last + 1) * u * u * u));
  }
  size_t length(const std::string& text, size_t from) { return std::min(text.size() - from, size_t{1} + below(size_t{1} << below(11))); }

  // A value somewhere in the document: each step down is as likely as staying.
  Json& value_in(Json& json) {
    Json* at = &json;
    while (at->is_structured() && !at->empty() && below(4) != 0) at = &*std::next(at->begin(), static_cast<std::ptrdiff_t>(below(at->size())));
    return *at;
  }
  Json new_value() {
    if (!dictionary_.empty() && below(2) == 0)
      if (Json word = Json::parse(dictionary_[below(dictionary_.size())], nullptr, /*allow_exceptions=*/false); !word.is_discarded()) return word;
    switch (below(8)) {
      case 0: return nullptr;
      case 1: return below(2) == 0;
      case 2: return static_cast<int64_t>(kIntegers[below(std::size(kIntegers))]);
      case 3: return static_cast<double>(below(1000)) / 8 - 10;
      case 4: return Json::array();
      case 5: return Json::object();
      case 6: return std::string(kPieces[below(std::size(kPieces))]);
      default: return static_cast<int64_t>(below(16)) - 2;
    }
  }
  void change(Json& json) {
    Json& at = value_in(json);
    switch (below(7)) {
      case 0: at = new_value(); break;
      case 1: {  // a value from elsewhere
        Json other = value_in(json);
        at = std::move(other);
        break;
      }
      case 2:  // a member gone
        if (at.is_structured() && !at.empty()) at.erase(std::next(at.begin(), static_cast<std::ptrdiff_t>(below(at.size()))));
        break;
      case 3: {  // a member more
        Json value = below(2) == 0 ? new_value() : Json(value_in(json));
        if (at.is_array()) {
          at.push_back(std::move(value));
        } else if (at.is_object()) {
          const Json key = new_value();
          at[key.is_string() ? key.get<std::string>() : std::string("x")] = std::move(value);
        }
        break;
      }
      case 4:  // a member by another name
        if (at.is_object() && !at.empty()) {
          const auto it = std::next(at.begin(), static_cast<std::ptrdiff_t>(below(at.size())));
          Json value = *it;
          const Json key = new_value();
          at.erase(it);
          at[key.is_string() ? key.get<std::string>() : std::string()] = std::move(value);
        }
        break;
      case 5:  // many more
        if (at.is_array() && !at.empty()) {
          const Json last = at.back();
          for (uint64_t count = uint64_t{1} << below(10); count > 0; --count) at.push_back(last);
        } else if (at.is_string()) {
          std::string text = at.get<std::string>();
          change(text);
          at = std::move(text);
        }
        break;
      default:
        if (at.is_string()) {
          std::string text = at.get<std::string>();
          change(text);
          at = std::move(text);
        } else if (at.is_number()) {
          at = new_value();
        } else {
          Json inner = at;
          at = below(2) == 0 ? Json::array({std::move(inner)}) : Json{{"a", std::move(inner)}};
        }
        break;
    }
  }

  void change(std::string& text) {
    const size_t at = place(text, 1);
    switch (text.empty() ? 4 : below(16)) {
      case 0: text[at] = static_cast<char>(text[at] ^ (1 << below(8))); break;
      case 1: text[at] = static_cast<char>(below(256)); break;
      case 2: {  // a little-endian integer
        const uint64_t value = kIntegers[below(std::size(kIntegers))] + (below(4) == 0 ? below(3) - 1 : 0);
        const size_t size = std::min(text.size() - at, size_t{1} << below(4));
        std::memcpy(text.data() + at, &value, size);
        break;
      }
      case 3: number(text, at); break;
      case 4: text.insert(place(text), kPieces[below(std::size(kPieces))]); break;
      case 5:
      case 6: word(text); break;
      case 7: splice(text); break;
      case 8: text.resize(at); break;
      case 9: text.erase(at, length(text, at)); break;
      case 10: repeat(text, at); break;
      case 11: text.insert(place(text), text.substr(at, length(text, at))); break;
      case 12: nest(text, at); break;
      case 13:
      case 14: line(text, at); break;
      default: text.replace(at, std::min(text.size() - at, size_t{1} + below(4)), std::string(1 + below(4), static_cast<char>(below(256)))); break;
    }
  }
  // A line gone, twice, or elsewhere.
  void line(std::string& text, size_t at) {
    const auto start_of = [&](size_t place) { return place == 0 ? size_t{0} : text.rfind('\n', place - 1) + 1; };
    const size_t begin = start_of(at), end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string whole = text.substr(begin, end - begin);
    const uint64_t how = below(3);
    if (how != 1) text.erase(begin, end - begin);
    if (how != 0) text.insert(start_of(place(text)), whole);
  }
  // Replaces the first number after `at`.
  void number(std::string& text, size_t at) {
    const size_t begin = text.find_first_of("0123456789", at);
    if (begin == std::string::npos) return;
    const size_t end = std::min(text.find_first_not_of("0123456789.eE+-", begin), text.size());
    text.replace(begin, end - begin, kNumbers[below(std::size(kNumbers))]);
  }
  // Puts a word of the dictionary somewhere, or in the place of another one.
  void word(std::string& text) {
    if (dictionary_.empty()) return;
    const std::string& now = dictionary_[below(dictionary_.size())];
    const std::string& old = dictionary_[below(dictionary_.size())];
    if (const size_t found = text.find(old, place(text)); found != std::string::npos && below(2) == 0) text.replace(found, old.size(), now);
    else text.insert(place(text), now);
  }
  void splice(std::string& text) {
    const std::string& other = seeds_[below(seeds_.size())];
    const size_t from = place(other), to = place(text);
    if (below(2) == 0) text = text.substr(0, to) + other.substr(from);
    else text.insert(to, other.substr(from, size_t{1} + below(256)));
  }
  void repeat(std::string& text, size_t at) {
    const std::string piece = text.substr(at, length(text, at));
    const size_t times = std::min(size_t{1} << below(13), kMaxInput / 4 / std::max<size_t>(piece.size(), 1));
    std::string many;
    for (size_t i = 0; i < times; ++i) many += piece;
    text.insert(at, many);
  }
  void nest(std::string& text, size_t at) {
    const auto& [open, close] = kBrackets[below(std::size(kBrackets))];
    const size_t depth = size_t{1} << below(15), end = at + (below(3) == 0 ? 0 : length(text, at));
    std::string before, after;
    for (size_t i = 0; i < depth; ++i) before += open;
    for (size_t i = 0; i < depth; ++i) after += close;
    if (below(3) != 0) text.insert(end, after);
    text.insert(at, before);
  }

  Rng rng_;
  uint64_t drawn_ = 0;
  const std::vector<std::string>& seeds_;
  const std::vector<std::string>& dictionary_;
};

}  // namespace

std::string input_at(uint64_t seed, uint64_t index, const std::vector<std::string>& seeds, const std::vector<std::string>& dictionary) {
  if (index < seeds.size()) return seeds[index];
  return Mutator(seed, index, seeds, dictionary).input();
}

}  // namespace hone::fuzz
