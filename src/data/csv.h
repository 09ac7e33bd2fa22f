// Fields of one CSV record, as Python's csv module (dialect "excel", not strict) and pandas read them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hone::data {

/// Splits one record (without its line end) at `delimiter`. A quote opens a field only as its first byte; elsewhere it is a
/// letter, and so are bytes that follow a closing quote. Quoted fields may hold delimiters, line ends and doubled quotes.
/// Returns an empty string, or what is wrong: a quote that is never closed.
std::string split_csv(std::string_view record, char delimiter, std::vector<std::string>& fields);

/// The one of , ; tab that occurs most often outside quotes in the first record of `text`; ',' when none does.
char guess_delimiter(std::string_view text);

}  // namespace hone::data
