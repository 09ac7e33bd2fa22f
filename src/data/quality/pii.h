// Hints of personal data and secrets in text: patterns with their check digits, no model. A hint is a reason to look, not a
// verdict.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone::data {

enum class PiiKind : uint8_t {
  kEmail,
  kPhone,       // Chinese mobile and landline numbers, +country numbers, NNN-NNN-NNNN
  kResidentId,  // Chinese resident identity numbers: 18 characters, a possible date of birth, a right check digit
  kBankCard,    // 13 to 19 digits of a known range that pass Luhn's check
  kIpAddress,   // IPv4 and IPv6, loopback and unspecified ones excepted
  kSecret,      // API keys by their prefixes, private keys, JSON web tokens, long random values behind "api_key =", …
};
inline constexpr int kPiiKinds = 6;

/// "email", "phone", …
std::string_view name(PiiKind kind);

struct PiiHint {
  PiiKind kind{};
  size_t begin = 0, end = 0;  // bytes of the text
};

/// Luhn's check over the digits of `digits` (ISO/IEC 7812-1); other characters are an error of the caller.
bool passes_luhn(std::string_view digits);
/// 17 digits and a digit or X, with a date of birth from 1900 to 2099 and the check digit of GB 11643-1999.
bool is_resident_id(std::string_view text);

/// Hints in order of place; they do not overlap.
std::vector<PiiHint> find_pii(std::string_view text);

/// What was found with most of it hidden: "138*****000", "a***@e***.com".
std::string masked(PiiKind kind, std::string_view text);

}  // namespace hone::data
