// Which language a text is in, by its script and by frequent words. No model: a rough count for the mix of a data set.
#pragma once

#include <cstdint>
#include <string_view>

namespace hone::data {

enum class Language : uint8_t { kChinese, kEnglish, kJapanese, kKorean, kGerman, kFrench, kSpanish, kPortuguese, kItalian, kRussian, kArabic, kOther, kUnknown };
inline constexpr int kLanguages = 13;

/// "zh", "en", …; "other" for scripts and languages not listed, "unknown" for text without letters.
std::string_view name(Language language);

/// Han without kana is Chinese, with kana Japanese; Latin letters are told apart by frequent words (English when there are too few to tell and the
/// letters are plain ASCII). The script with the most letters decides; a Han character counts as three letters. At most the first 1024 bytes are read.
Language language_of(std::string_view text);

}  // namespace hone::data
