// What is wrong with rows, and how much of it: the report of `hone data check`.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/encoder.h"
#include "data/quality/check_settings.h"
#include "data/quality/classes.h"
#include "data/quality/language.h"
#include "data/quality/pii.h"
#include "data/rows.h"

namespace hone::data {

/// One row that counts towards a measure. Personal data are masked in `text`.
struct Finding {
  std::string where, text;
};

struct MeasureReport {
  Measure measure{};
  bool looked = false;   // false: what it takes was not given (held-out rows, a tokenizer)
  int64_t rows = 0, of = 0;
  std::optional<int64_t> allowed;  // rows
  std::vector<Finding> examples;

  bool broken() const { return looked && allowed && rows > *allowed; }
};

/// Lengths of rows in a unit; `histogram[i]` counts those from 2^(i−1) + 1 to 2^i.
struct Lengths {
  int64_t rows = 0, total = 0, least = 0, most = 0, median = 0, p90 = 0, p99 = 0;
  std::vector<int64_t> histogram;
};

Lengths lengths_of(std::vector<uint32_t> values);

struct CheckReport {
  std::vector<DatasetReport> files;  // then those held out
  int64_t rows = 0, held_out_rows = 0;
  std::array<MeasureReport, kMeasures> measures;
  std::array<int64_t, kPiiKinds> pii_rows{};
  std::array<int64_t, kLanguages> languages{};
  Lengths characters;
  std::optional<Lengths> tokens;
  int64_t supervised_tokens = 0;
  std::optional<ClassReport> labels, classes;
  std::vector<std::string> broken;  // one sentence per limit that is broken

  const MeasureReport& of(Measure measure) const { return measures[static_cast<size_t>(measure)]; }
};

/// Memory per row: 160 bytes, and 128 more when `held_out` is given. `encoder` may be null: then nothing is said about tokens and templates.
/// `classes` may be null; it must belong to `rows`.
CheckReport check_rows(const Rows& rows, const Rows* held_out, const Encoder* encoder, const CheckSettings& settings, const ClassReport* classes, const std::function<bool()>& stop);

}  // namespace hone::data
