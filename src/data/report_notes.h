// What a person should know about the rows of a file, in sentences.
#pragma once

#include <string>
#include <vector>

#include "data/loader.h"

namespace hone::data {

/// Rows left out and why (the first `reasons` of them with line and cause), turns out of order, fields that are not read, samples
/// that were cut. Empty when there is nothing to say.
std::vector<std::string> notes_of(const DatasetReport& report, size_t reasons = 5);

}  // namespace hone::data
