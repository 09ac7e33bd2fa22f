// YAML values, read and checked: what the table of settings is made of. All throw Error{kInvalidInput} naming `where`.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hone::recipes {

using Where = const std::string&;
/// {word, what it means to hone}.
using Words = std::vector<std::pair<std::string, std::string>>;

[[noreturn]] void bad(Where where, const std::string& expected, const YAML::Node& found);
std::string scalar(const YAML::Node& node, Where where, const char* expected);
/// A text as YAML reads it back.
std::string in_quotes(const std::string& text);
double read_number(const YAML::Node& node, Where where, double low, double high);
/// Whole numbers, also when written as 1e3.
int64_t read_integer(const YAML::Node& node, Where where, int64_t low, int64_t high);
/// The meaning of one of `words`.
std::string read_word(const YAML::Node& node, Where where, const Words& words);
/// A list of names, or one text with the names between commas or, where `at_spaces`, spaces.
std::vector<std::string> words_of(const YAML::Node& node, Where where, bool at_spaces = true);
/// A list of texts, or one.
std::vector<std::string> texts_of(const YAML::Node& node, Where where);

}  // namespace hone::recipes
