// What `hone data` reads from YAML: limits of the check, and rules that tell classes of instructions apart.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/quality/check_settings.h"
#include "data/quality/classes.h"

namespace hone::recipes {

/// Settings of `hone data check` from a YAML file (empty: none) and then from key=value words. Throws Error{kInvalidInput} naming file, line and key.
data::CheckSettings load_check_settings(const std::filesystem::path& file, const std::vector<std::string>& words);

/// Rules in their order: a mapping of class names to lists of words, or to {any, all, none, starts}.
std::vector<data::ClassRule> load_class_rules(const std::filesystem::path& file);
std::vector<data::ClassRule> parse_class_rules(const std::string& yaml, const std::string& where);

}  // namespace hone::recipes
