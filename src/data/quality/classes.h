// Classes of instructions: which there are, how many rows each has, whether they are balanced.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/rows.h"

namespace hone::data {

/// Bytes of an instruction that are read: its beginning says what it asks for, what is pasted behind it little.
inline constexpr size_t kInstructionBytes = 800;

/// A class of instructions told by words: the first rule of a list that fits gives the class.
struct ClassRule {
  std::string name;
  std::vector<std::string> any, all, none;  // normalized words: one of `any`, every one of `all`, none of `none` must occur
  std::vector<std::string> starts;          // or: the instruction starts with one of these

  bool fits(std::string_view normalized_prompt) const;
};

/// The class of each row: an index into `names`, or −1 for rows that are malformed, lack the field or fit no rule.
struct RowClasses {
  std::vector<std::string> names;
  std::vector<int32_t> of_row;
  std::string how;  // "the field answer.level", "12 rules", "24 clusters of instructions"
  std::vector<std::vector<uint32_t>> typical;  // per class, rows to show first; may be empty
};

/// Classes are the values of a field, at most 10,000 different ones (Error{kInvalidInput} above). Sorted by name.
RowClasses classes_by_field(const Rows& rows, const std::string& field, const std::function<bool()>& stop);
/// Classes in the order of the rules; every rule's name is a class, also without rows.
RowClasses classes_by_rules(const Rows& rows, const std::vector<ClassRule>& rules, const std::function<bool()>& stop);

struct ClassRow {
  std::string name;
  int64_t rows = 0;
  double share = 0;   // of the rows that have a class
  double ratio = 0;   // rows over the mean of all covered classes
  bool in_band = false, covered = false;
  std::vector<std::string> examples;
};

struct ClassReport {
  std::string how;
  std::vector<ClassRow> classes;  // most rows first
  int64_t covered = 0, wanted = 20, in_band = 0, unclassified = 0;
  double band_low = 0.8, band_high = 1.2;
};

/// Counts and compares; a class is in the band when low ≤ rows / mean ≤ high, the mean taken over the covered classes. `examples` instructions are shown of each.
ClassReport report_of(const Rows& rows, const RowClasses& classes, double band_low, double band_high, int64_t min_rows, int64_t wanted, int64_t examples);

}  // namespace hone::data
