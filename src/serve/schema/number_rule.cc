#include "serve/schema/number_rule.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace hone::serve {
namespace {

using NumberPart = NumberCursor::Part;

constexpr int kPlaces = 15, kIntegerDigits = 19, kFreeDigits = 40, kFreeExponent = 2;
constexpr uint64_t kManyNumbers = uint64_t{1} << 40;

bool is_decimal_digit(unsigned char c) { return c >= '0' && c <= '9'; }

Decimal ten_to_the(int exponent) {
  Decimal value = 1;
  while (exponent-- > 0) value *= 10;
  return value;
}

Decimal common_divisor(Decimal a, Decimal b) {
  while (b != 0) a = std::exchange(b, a % b);
  return a;
}

bool push_free(NumberCursor& cursor, unsigned char c, bool fractions) {
  switch (cursor.part) {
    case NumberPart::kStart:
      if (c == '-') return cursor.part = NumberPart::kMinus, true;
      [[fallthrough]];
    case NumberPart::kMinus:
      if (!is_decimal_digit(c)) return false;
      cursor.part = c == '0' ? NumberPart::kZero : NumberPart::kWhole;
      return ++cursor.whole, true;
    case NumberPart::kZero:
    case NumberPart::kWhole:
      if (cursor.part == NumberPart::kWhole && is_decimal_digit(c)) return ++cursor.whole <= kFreeDigits;
      if (!fractions) return false;
      if (c == '.') return cursor.part = NumberPart::kPoint, true;
      if (c == 'e' || c == 'E') return cursor.part = NumberPart::kE, true;
      return false;
    case NumberPart::kPoint:
    case NumberPart::kFraction:
      if (is_decimal_digit(c)) return cursor.part = NumberPart::kFraction, ++cursor.whole <= kFreeDigits;
      if (cursor.part == NumberPart::kFraction && (c == 'e' || c == 'E')) return cursor.part = NumberPart::kE, true;
      return false;
    case NumberPart::kE:
      if (c == '+' || c == '-') return cursor.part = NumberPart::kSign, true;
      [[fallthrough]];
    case NumberPart::kSign:
    case NumberPart::kExponent:
      if (!is_decimal_digit(c)) return false;
      cursor.part = NumberPart::kExponent;
      return ++cursor.fraction <= kFreeExponent;  // readers hold numbers up to 1e308
  }
  return false;
}

}  // namespace

Decimal NumberRule::value(const NumberCursor& cursor) {
  const Decimal size = Decimal{cursor.digits} * ten_to_the(kPlaces - cursor.fraction);
  return cursor.negative ? -size : size;
}

// The numbers of a grid whose size is from `from` to `to`.
uint64_t NumberRule::within(Decimal from, Decimal to, Decimal grid, bool negative, const std::vector<Decimal>& used) const {
  from = std::max(from, negative ? std::max<Decimal>(-high, 1) : std::max<Decimal>(low, 0));  // −0 is never written
  to = std::min(to, negative ? -low : high);
  if (from > to) return 0;
  Decimal lattice = grid;
  if (step != 0) {
    const Decimal times = step / common_divisor(step, grid);
    lattice = times > ten_to_the(36) / grid ? ten_to_the(36) : times * grid;  // then there is 0 only
  }
  const Decimal first = (from + lattice - 1) / lattice, last = to / lattice;
  if (first > last) return 0;
  const auto count = static_cast<uint64_t>(std::min<Decimal>(last - first + 1, kManyNumbers));
  if (used.empty() || count == kManyNumbers) return count;
  const auto gone = std::count_if(used.begin(), used.end(), [&](Decimal value) {
    const Decimal size = negative ? -value : value;
    return size >= from && size <= to && size % lattice == 0;
  });
  return count - std::min<uint64_t>(count, static_cast<uint64_t>(gone));
}

uint64_t NumberRule::left(const NumberCursor& cursor, const std::vector<Decimal>& used) const {
  const int most = fractions ? kPlaces : kIntegerDigits;
  const auto places = [&](int whole) { return fractions ? kPlaces - whole : 0; };
  uint64_t count = 0;
  // All sizes that begin with `digits`, of `whole` digits in front of the point when no more come.
  const auto wholes = [&](Decimal first, Decimal last, int whole, bool negative) {
    for (int more = 0; whole + more <= most && count < kManyNumbers; ++more) {
      const Decimal grid = ten_to_the(kPlaces - places(whole + more));
      count += within(first * ten_to_the(more) * kUnit, (last + 1) * ten_to_the(more) * kUnit - grid, grid, negative, used);
    }
  };
  const auto zero = [&](bool negative) {
    const Decimal grid = ten_to_the(kPlaces - places(0));
    count += within(0, kUnit - grid, grid, negative, used);
  };
  switch (cursor.part) {
    case NumberPart::kStart:
      zero(false), wholes(1, 9, 1, false);
      [[fallthrough]];
    case NumberPart::kMinus: zero(true), wholes(1, 9, 1, true); break;
    case NumberPart::kZero: zero(cursor.negative); break;
    case NumberPart::kWhole: wholes(cursor.digits, cursor.digits, cursor.whole, cursor.negative); break;
    case NumberPart::kPoint:
    case NumberPart::kFraction: {
      const Decimal grid = ten_to_the(kPlaces - places(cursor.whole)), open = ten_to_the(kPlaces - cursor.fraction);
      const Decimal first = Decimal{cursor.digits} * open;
      if (open >= grid) count = within(first, first + open - grid, grid, cursor.negative, used);
      break;
    }
    default: break;
  }
  return std::min(count, kManyNumbers);
}

bool NumberRule::push(NumberCursor& cursor, unsigned char c, const std::vector<Decimal>& used) const {
  if (free) return push_free(cursor, c, fractions);
  switch (cursor.part) {
    case NumberPart::kStart:
      if (c == '-') {
        cursor.negative = true;
        cursor.part = NumberPart::kMinus;
        break;
      }
      [[fallthrough]];
    case NumberPart::kMinus:
      if (!is_decimal_digit(c)) return false;
      cursor.part = c == '0' ? NumberPart::kZero : NumberPart::kWhole;
      cursor.whole = c == '0' ? 0 : 1;
      cursor.digits = c - '0';
      break;
    case NumberPart::kZero:
    case NumberPart::kWhole:
      if (c == '.' && fractions) {
        cursor.part = NumberPart::kPoint;
        if (cursor.whole >= kPlaces) return false;
        break;
      }
      if (cursor.part == NumberPart::kZero || !is_decimal_digit(c) || cursor.whole >= (fractions ? kPlaces : kIntegerDigits)) return false;
      ++cursor.whole;
      cursor.digits = cursor.digits * 10 + (c - '0');
      break;
    case NumberPart::kPoint:
    case NumberPart::kFraction:
      if (!is_decimal_digit(c) || cursor.whole + cursor.fraction >= kPlaces) return false;
      cursor.part = NumberPart::kFraction;
      ++cursor.fraction;
      cursor.digits = cursor.digits * 10 + (c - '0');
      break;
    default: return false;
  }
  return left(cursor, used) > 0;
}

bool NumberRule::complete(const NumberCursor& cursor, const std::vector<Decimal>& used) const {
  if (cursor.part != NumberPart::kZero && cursor.part != NumberPart::kWhole && cursor.part != NumberPart::kFraction && cursor.part != NumberPart::kExponent) return false;
  if (free) return true;
  const Decimal number = value(cursor);
  if (number < low || number > high || (step != 0 && number % step != 0) || (cursor.negative && number == 0)) return false;
  return std::find(used.begin(), used.end(), number) == used.end();
}

bool NumberRule::parse(std::string_view number, Decimal& value, Decimal& down, Decimal& up) {
  const bool negative = number.starts_with('-');
  if (negative) number.remove_prefix(1);
  Decimal digits = 0;
  int exponent = 0;
  bool inexact = false, point = false;
  size_t at = 0;
  for (; at < number.size() && (is_decimal_digit(static_cast<unsigned char>(number[at])) || number[at] == '.'); ++at) {
    if (number[at] == '.') {
      point = true;
      continue;
    }
    if (digits < kLargest) {
      digits = digits * 10 + (number[at] - '0');
      exponent -= point;
    } else {
      inexact = inexact || number[at] != '0';
      exponent += !point;
    }
  }
  if (at < number.size()) {  // e
    int written = 0;
    const char* begin = number.data() + at + 1 + (number.substr(at + 1).starts_with('+') ? 1 : 0);
    if (std::from_chars(begin, number.data() + number.size(), written).ec != std::errc()) written = number.substr(at + 1).starts_with('-') ? -10000 : 10000;
    exponent += std::clamp(written, -10000, 10000);
  }
  Decimal size = digits;
  for (int i = exponent + kPlaces; i > 0 && size != 0 && size <= kLargest; --i) size *= 10;
  for (int i = exponent + kPlaces; i < 0 && size != 0; ++i) {
    inexact = inexact || size % 10 != 0;
    size /= 10;
  }
  if (size > kLargest) {
    inexact = true;
    size = kLargest;
    down = negative ? -kLargest - 1 : kLargest;
    up = negative ? -kLargest : kLargest + 1;
    value = negative ? -size : size;
    return false;
  }
  value = negative ? -size : size;
  down = value - (inexact && negative ? 1 : 0);
  up = value + (inexact && !negative ? 1 : 0);
  return !inexact;
}

}  // namespace hone::serve
