// What a number of JSON may be, read digit by digit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone::serve {

/// Numbers in units of 10⁻¹⁵: exact for all that a rule lets be written.
__extension__ using Decimal = __int128;

/// A place inside a number.
struct NumberCursor {
  enum class Part : uint8_t { kStart, kMinus, kZero, kWhole, kPoint, kFraction, kE, kSign, kExponent };
  Part part = Part::kStart;
  bool negative = false;
  uint8_t whole = 0, fraction = 0;  // digits before and after the point; a leading 0 counts none. Of free numbers: all digits, of the exponent
  uint64_t digits = 0;              // both together
};

/// A free number is any of JSON's, of at most 40 digits and two of the exponent. Others are written without exponent, integers
/// with at most 19 digits, fractions with at most 15 in all: so that what holds of the digits holds of the double they are read as.
class NumberRule {
 public:
  static constexpr Decimal kUnit = 1'000'000'000'000'000;                        // 1
  static constexpr Decimal kLargest = Decimal{9'999'999'999'999'999'999u} * kUnit;

  bool free = true;
  bool fractions = true;
  Decimal low = -kLargest, high = kLargest;  // both may be written
  Decimal step = 0;                          // a multiple of this; 0: of anything

  /// False: no number begins or goes on like this.
  bool push(NumberCursor& cursor, unsigned char byte, const std::vector<Decimal>& used) const;
  /// The number may end here, and is none of `used`.
  bool complete(const NumberCursor& cursor, const std::vector<Decimal>& used) const;
  /// How many numbers but those of `used` the rule allows; 2⁴⁰ at most.
  uint64_t count(const std::vector<Decimal>& used) const { return left({}, used); }
  /// The number so far.
  static Decimal value(const NumberCursor& cursor);

  /// Whether the text of a JSON number has such a value, within ±10¹⁹ and of at most 15 digits after the point: then `value` is it.
  /// `up` and `down` are the nearest such numbers on either side otherwise.
  static bool parse(std::string_view number, Decimal& value, Decimal& down, Decimal& up);

 private:
  uint64_t left(const NumberCursor& cursor, const std::vector<Decimal>& used) const;
  uint64_t within(Decimal low, Decimal high, Decimal grid, bool negative, const std::vector<Decimal>& used) const;
};

}  // namespace hone::serve
