// What `hone data check` looks for, and how much of it is too much.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/config.h"

namespace hone::data {

enum class Measure : uint8_t { kMalformed, kEmpty, kEncoding, kDuplicates, kNearDuplicates, kConflicting, kLeakage, kTooLong, kTemplate, kPii, kSecrets };
inline constexpr int kMeasures = 11;

/// "malformed", "near_duplicates", …; what is counted, in words.
std::string_view name(Measure measure);
std::string_view meaning(Measure measure);

struct CheckSettings {
  /// How many rows of each kind are accepted; nothing: any number.
  std::array<std::optional<BadRowLimit>, kMeasures> limits;
  double similarity = 0.8;       // Jaccard similarity from which rows count as near-duplicates, 0.5 to 1
  int64_t cutoff_length = 2048;  // tokens
  std::string label;             // a field (see field_of); empty: labels are not counted
  double band_low = 0.8, band_high = 1.2;  // a class's rows over the mean of all classes
  std::optional<int64_t> unbalanced;       // so many classes may lie outside the band; nothing: any number
  std::optional<int64_t> wanted;           // so many classes must be covered; nothing: any number (the report compares with 20)
  int64_t min_class_rows = 1;              // rows from which a class counts as covered
  int64_t examples = 3;                    // shown of each kind

  CheckSettings();
};

struct CheckKey {
  std::string key, standard, meaning;
};

/// Every setting by name, for people.
std::vector<CheckKey> check_keys();

/// Sets one value by its name: "similarity", "limits.near_duplicates" ("5%", "0.05", "100", "off"), … Throws Error{kInvalidInput} naming `where`.
void set_check_value(CheckSettings& settings, std::string_view key, std::string_view value, const std::string& where);

}  // namespace hone::data
