#include "data/quality/language.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "text/unicode.h"

namespace hone::data {
namespace {

constexpr std::array<std::string_view, kLanguages> kLanguageNames = {"zh", "en", "ja", "ko", "de", "fr", "es", "pt", "it", "ru", "ar", "other", "unknown"};
constexpr size_t kRead = 1024;

struct Words {
  Language language;
  std::string_view list;  // between single spaces
};
constexpr std::array<Words, 6> kFrequent = {{
    {Language::kEnglish, " the of and to in is that it for was on are with as at be this have from or by not but what all were when we there can an your which their if will how you my i do please a he she has had would could does did so about since me they its been who where why "},
    {Language::kGerman, " der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie nach wird bei einer um am sind noch wie ich wir "},
    {Language::kFrench, " le la les de des et en un une du est que dans qui pour au sur pas plus ne se par avec ce il sont cette aux mais vous nous je elle ou être quel comment "},
    {Language::kSpanish, " el la los las de que y en un una es del se por con para no su al lo como más pero sus le ya este sí porque esta entre cuando muy qué cómo yo está "},
    {Language::kPortuguese, " o a os as de que e do da em um uma para com não no na por mais dos como mas foi ao ele das tem à seu sua ou ser quando muito há nos já está eu também você "},
    {Language::kItalian, " il la lo i gli le di che e è un una per non con si da del della in sono al come più ma nel anche alla questo ha se ci dei perché cosa io "},
}};

constexpr size_t kLongestFrequent = [] {
  size_t longest = 0, length = 0;
  for (const Words& words : kFrequent)
    for (const char c : words.list) length = c == ' ' ? 0 : length + 1, longest = std::max(longest, length);
  return longest;
}();

// Frequent word → a bit per language in which it is one.
const std::unordered_map<std::string_view, uint8_t>& frequent_words() {
  static const auto words = [] {
    std::unordered_map<std::string_view, uint8_t> all;
    for (size_t i = 0; i < kFrequent.size(); ++i) {
      for (std::string_view list = kFrequent[i].list.substr(1); !list.empty();) {
        const size_t end = list.find(' ');
        all[list.substr(0, end)] |= static_cast<uint8_t>(1u << i);
        list.remove_prefix(end + 1);
      }
    }
    return all;
  }();
  return words;
}

struct Counts {
  int64_t han = 0, kana = 0, hangul = 0, latin = 0, cyrillic = 0, arabic = 0, other = 0, accented = 0;
};

void count(uint32_t c, Counts& n) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0x24F && c != 0xD7 && c != 0xF7)) {
    ++n.latin;
    n.accented += c >= 0x80;
  } else if (c < 0x370) {
    return;
  } else if ((c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x323AF)) {
    ++n.han;
  } else if ((c >= 0x3041 && c <= 0x30FF && c != 0x30FB) || (c >= 0xFF66 && c <= 0xFF9D)) {
    ++n.kana;
  } else if ((c >= 0xAC00 && c <= 0xD7A3) || (c >= 0x1100 && c <= 0x11FF)) {
    ++n.hangul;
  } else if (c >= 0x400 && c <= 0x52F) {
    ++n.cyrillic;
  } else if ((c >= 0x600 && c <= 0x6FF) || (c >= 0x750 && c <= 0x77F)) {
    ++n.arabic;
  } else if ((c >= 0x370 && c <= 0x3FF) || (c >= 0x530 && c <= 0x10FF) || (c >= 0x1200 && c <= 0x1FFF)) {
    ++n.other;
  }
}

Language latin_language(std::string_view text, const Counts& counts) {
  const auto& known = frequent_words();
  std::array<int, kFrequent.size()> hits{};
  std::string word;
  int words = 0;
  const auto finish = [&] {
    if (word.empty()) return;
    ++words;
    if (word.size() <= kLongestFrequent)
      if (const auto found = known.find(word); found != known.end())
        for (size_t i = 0; i < kFrequent.size(); ++i) hits[i] += found->second >> i & 1;
    word.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 'A' && byte <= 'Z') word += static_cast<char>(byte + 32);
    else if ((byte >= 'a' && byte <= 'z') || byte >= 0x80) word += static_cast<char>(byte);
    else finish();
  }
  finish();
  const auto best = std::max_element(hits.begin(), hits.end());
  const bool clear = *best * 12 >= words && *best > 0 && std::count(hits.begin(), hits.end(), *best) == 1;
  // Words such as "a", "me" or "en" occur in several languages: plain ASCII is English unless another one is well ahead.
  if (clear && (counts.accented > 0 || *best >= 2 * hits[0] + 2)) return kFrequent[static_cast<size_t>(best - hits.begin())].language;
  if (words <= 3 || counts.accented == 0) return counts.accented == 0 ? Language::kEnglish : Language::kOther;
  return Language::kOther;
}

}  // namespace

std::string_view name(Language language) { return kLanguageNames[static_cast<size_t>(language)]; }

Language language_of(std::string_view text) {
  text = text.substr(0, kRead);
  Counts counts;
  for (size_t i = 0; i < text.size();) {
    if (const auto byte = static_cast<unsigned char>(text[i]); byte < 0x80) {
      counts.latin += static_cast<unsigned char>((byte | 32) - 'a') < 26;
      ++i;
      continue;
    }
    const size_t length = text::utf8_length(text.substr(i));
    if (length == 0) {
      ++i;
      continue;
    }
    count(text::utf8_code_point(text.substr(i)), counts);
    i += length;
  }
  const int64_t east = 3 * (counts.han + counts.kana), hangul = 2 * counts.hangul;
  const int64_t most = std::max({east, hangul, counts.latin, counts.cyrillic, counts.arabic, counts.other});
  if (most == 0) return Language::kUnknown;
  if (most == east) return counts.kana * 10 >= counts.han + counts.kana ? Language::kJapanese : Language::kChinese;
  if (most == hangul) return Language::kKorean;
  if (most == counts.latin) return latin_language(text, counts);
  if (most == counts.cyrillic) return Language::kRussian;
  return most == counts.arabic ? Language::kArabic : Language::kOther;
}

}  // namespace hone::data
