// How keys of the usual kinds are read and written: whole numbers, numbers, true and false, texts, one word of several.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "recipes/config_keys.h"
#include "recipes/config_values.h"

namespace hone::recipes {

template <class Access>
Key integer(std::string path, std::vector<std::string> aliases, int64_t low, int64_t high, Access access, std::string meaning, bool resumable = false) {
  return {std::move(path), std::move(aliases), std::move(meaning), resumable,
          [=](Config& c, const YAML::Node& node, Where where) { access(c) = read_integer(node, where, low, high); },
          [=](const Config& c) { return fmt::format("{}", access(const_cast<Config&>(c))); }};
}
template <class Access>
Key number(std::string path, std::vector<std::string> aliases, double low, double high, Access access, std::string meaning, bool resumable = false) {
  return {std::move(path), std::move(aliases), std::move(meaning), resumable,
          [=](Config& c, const YAML::Node& node, Where where) { access(c) = read_number(node, where, low, high); },
          [=](const Config& c) { return fmt::format("{}", access(const_cast<Config&>(c))); }};
}
template <class Access>
Key flag(std::string path, std::vector<std::string> aliases, Access access, std::string meaning) {
  return {std::move(path), std::move(aliases), std::move(meaning), false,
          [=](Config& c, const YAML::Node& node, Where where) {
            try {
              access(c) = node.as<bool>();
            } catch (const YAML::Exception&) {
              bad(where, "true or false", node);
            }
          },
          [=](const Config& c) { return std::string(access(const_cast<Config&>(c)) ? "true" : "false"); }};
}
template <class Access>
Key text(std::string path, std::vector<std::string> aliases, Access access, std::string meaning, bool resumable = false) {
  return {std::move(path), std::move(aliases), std::move(meaning), resumable,
          [=](Config& c, const YAML::Node& node, Where where) { access(c) = scalar(node, where, "text"); },
          [=](const Config& c) { return in_quotes(access(const_cast<Config&>(c))); }};
}
template <class Access>
Key word(std::string path, std::vector<std::string> aliases, Words words, Access access, std::string meaning, bool resumable = false) {
  return {std::move(path), std::move(aliases), std::move(meaning), resumable,
          [=](Config& c, const YAML::Node& node, Where where) { access(c) = read_word(node, where, words); },
          [=](const Config& c) { return access(const_cast<Config&>(c)); }};
}

#define FIELD(expression) [](Config& c) -> auto& { return c.expression; }

}  // namespace hone::recipes
