// A value of a row by its name, for labels, classes and groups.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "data/format.h"

namespace hone::data {

/// `path` is a key of the row, or keys joined by dots ("meta.topic"; "turns.0.from" counts from zero); "answer" is the last answer's text, "answer.level" a
/// value of the JSON object that the last answer is; "prompt" is the text of the user's turns. Text comes without white space at its ends; numbers and words as JSON
/// writes them. Nothing when the row has no such value, or it is null or blank.
std::optional<std::string> field_of(const Json& row, const Example& example, std::string_view path);

}  // namespace hone::data
