// The quick path of reading JSON rows.
#pragma once

#include <string_view>

#include "data/row_json.h"

namespace hone::data {

/// Reads one JSON document of valid UTF-8 into what Json::parse would make of it, several times faster: strings, which rows
/// are made of, are copied in runs. False for everything that is malformed, deeper than max_nesting or merely unusual
/// (repeated keys, large numbers): the caller then asks Json::parse, whose verdict counts.
bool read_plain_json(std::string_view bytes, int max_nesting, Json& value);

}  // namespace hone::data
