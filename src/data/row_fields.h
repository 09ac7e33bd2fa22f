// Fields of a row beside the columns of its format: which are refused, and which are known to mean nothing to training.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/format.h"

namespace hone::data {

enum class FieldUse { kRefused, kNoEffect };

/// A known field that is no column. docs/data.md lists them; a test compares.
struct RowField {
  std::string_view name;
  FieldUse use;
  std::string_view reason;  // of a refused one: what it is, and what to do
};
const std::vector<RowField>& row_fields();

/// What a row says that changes its meaning and is not computed: pictures, preference pairs … nullopt when there is none. Null and
/// empty values say nothing.
std::optional<RowIssue> refused_field(const Json& row, const RowFormat& format);

/// Keys of a row, and of its turns ("conversations[].KEY"), that are neither read nor known. Turns of the messages format are
/// given to the chat template whole.
std::vector<std::string> unknown_fields(const Json& row, const RowFormat& format);

}  // namespace hone::data
