// How `hone data` shows its reports: for people and as JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "data/quality/check.h"

namespace hone::apps {

void print_check(const data::CheckReport& report);
void print_classes(const data::ClassReport& report, const char* what);
void print_lengths(const data::Lengths& lengths, const char* unit);

nlohmann::ordered_json check_json(const data::CheckReport& report);
nlohmann::ordered_json classes_json(const data::ClassReport& report);
nlohmann::ordered_json lengths_json(const data::Lengths& lengths);

/// Untrusted text may hold anything: bad UTF-8 is replaced.
std::string dumped(const nlohmann::ordered_json& json);

}  // namespace hone::apps
