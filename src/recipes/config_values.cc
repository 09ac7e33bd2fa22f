#include "recipes/config_values.h"

#include <fmt/ranges.h>

#include <cmath>

#include "base/error.h"

namespace hone::recipes {

void bad(Where where, const std::string& expected, const YAML::Node& found) {
  std::string value = found.IsScalar() ? fmt::format("\"{}\"", found.Scalar()) : found.IsSequence() ? "a list" : found.IsMap() ? "a mapping" : "nothing";
  throw Error(ErrorCode::kInvalidInput, where, fmt::format("expected {}, found {}", expected, value), "change the value");
}

std::string scalar(const YAML::Node& node, Where where, const char* expected) {
  if (!node.IsScalar()) bad(where, expected, node);
  return node.Scalar();
}

std::string in_quotes(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    else out += c;
  }
  return out + "\"";
}

double read_number(const YAML::Node& node, Where where, double low, double high) {
  double value = 0;
  try {
    value = node.as<double>();
  } catch (const YAML::Exception&) {
    bad(where, fmt::format("a number from {:g} to {:g}", low, high), node);
  }
  if (!(value >= low && value <= high)) bad(where, fmt::format("a number from {:g} to {:g}", low, high), node);
  return value;
}

int64_t read_integer(const YAML::Node& node, Where where, int64_t low, int64_t high) {
  const std::string expected = fmt::format("a whole number from {} to {}", low, high);
  double value = 0;
  try {
    value = node.as<double>();
  } catch (const YAML::Exception&) {
    bad(where, expected, node);
  }
  if (value != std::floor(value) || !(value >= static_cast<double>(low) && value <= static_cast<double>(high))) bad(where, expected, node);
  return static_cast<int64_t>(value);
}

std::string read_word(const YAML::Node& node, Where where, const Words& words) {
  const std::string found = scalar(node, where, "a word");
  std::vector<std::string> known;
  for (const auto& [word, value] : words) {
    if (word == found) return value;
    known.push_back(word);
  }
  const std::string near = nearest(found, known);
  throw Error(ErrorCode::kInvalidInput, where, fmt::format("expected one of {}, found \"{}\"", fmt::join(known, ", "), found),
              near.empty() ? "use one of these words" : fmt::format("did you mean \"{}\"?", near));
}

std::vector<std::string> words_of(const YAML::Node& node, Where where, bool at_spaces) {
  std::vector<std::string> names;
  if (node.IsSequence()) {
    for (const auto& item : node) names.push_back(scalar(item, where, "a name"));
    return names;
  }
  std::string name;
  for (const char c : scalar(node, where, "a name or a list of names") + ",") {
    if (c != ',' && (c != ' ' || !(at_spaces || name.empty()))) name += c;
    else if (!name.empty()) names.push_back(std::exchange(name, {}));
  }
  for (std::string& text : names) text.erase(text.find_last_not_of(' ') + 1);
  return names;
}

std::vector<std::string> texts_of(const YAML::Node& node, Where where) {
  std::vector<std::string> texts;
  if (!node.IsSequence()) texts.push_back(scalar(node, where, "a text or a list of texts"));
  else
    for (const auto& item : node) texts.push_back(scalar(item, where, "a text"));
  std::erase(texts, "");
  return texts;
}

}  // namespace hone::recipes
