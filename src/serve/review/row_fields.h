// A row as a list of texts that a reviewer reads and edits.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "data/format.h"

namespace hone::serve {

struct RowField {
  std::string pointer;    // JSON pointer (RFC 6901) into the row
  std::string label;      // a turn's role, else the path of the field
  std::string text;
  bool editable = false;  // texts; numbers, booleans and null are shown only
};

/// Every leaf of the row, in its order; a turn's role is the label of its text instead of a field of its own.
std::vector<RowField> fields_of(const data::Json& row, const data::RowFormat& format);

/// JSON pointer → new text.
using Edits = std::map<std::string, std::string>;

/// The row with these texts in place of its own, understood by its format. Throws Error{kInvalidInput} for a pointer that names no
/// editable field and for a row that the format refuses then.
data::Json with_edits(data::Json row, const Edits& edits, const data::RowFormat& format);

}  // namespace hone::serve
