#include "recipes/data_settings.h"

#include <yaml-cpp/yaml.h>

#include "base/error.h"
#include "base/text_encoding.h"
#include "data/quality/row_text.h"

namespace hone::recipes {
namespace {

constexpr size_t kMostBytes = 4 << 20, kMostRules = 10000;

[[noreturn]] void fail(const std::string& where, const std::string& message, const std::string& hint) { throw Error(ErrorCode::kInvalidInput, where, message, hint); }

YAML::Node parse(const std::string& yaml, const std::string& where) {
  try {
    return YAML::Load(yaml);
  } catch (const YAML::ParserException& error) {
    fail(fmt::format("{}:{}", where, error.mark.line + 1), "is not YAML: " + error.msg, "check indentation, colons and quotes on this line");
  } catch (const YAML::Exception& error) {
    fail(where, std::string("is not YAML: ") + error.what(), "check the file");
  }
}

std::string line_of(const std::string& where, const YAML::Node& node) { return fmt::format("{}:{}", where, node.Mark().line + 1); }

std::vector<std::string> word_list(const YAML::Node& node, const std::string& where) {
  std::vector<std::string> words;
  const auto add = [&](const YAML::Node& word) {
    if (!word.IsScalar()) fail(line_of(where, word), "expected a word or a list of words", "for example [translate, 翻译]");
    const std::string plain = data::normalized(word.Scalar());
    if (plain.empty()) fail(line_of(where, word), fmt::format("\"{}\" holds no letter", word.Scalar()), "rules compare letters and digits only");
    words.push_back(plain);
  };
  if (node.IsSequence()) for (const auto& word : node) add(word);
  else add(node);
  return words;
}

}  // namespace

data::CheckSettings load_check_settings(const std::filesystem::path& file, const std::vector<std::string>& words) {
  data::CheckSettings settings;
  if (!file.empty()) {
    const std::string where = file.string();
    const YAML::Node root = parse(read_text(file, kMostBytes), where);
    if (!root.IsMap() && !root.IsNull()) fail(where, "the file must hold key: value lines", "hone data check --list-settings shows every key");
    for (const auto& entry : root) {
      const std::string at = line_of(where, entry.first);
      if (!entry.first.IsScalar()) fail(at, "a key must be a word", "write key: value");
      const auto set = [&](const std::string& key, const YAML::Node& value) {
        if (!value.IsScalar()) fail(at, fmt::format("{} must have one value", key), "write key: value");
        data::set_check_value(settings, key, value.Scalar(), at);
      };
      if (!entry.second.IsMap()) set(entry.first.Scalar(), entry.second);
      else for (const auto& inner : entry.second) {
        if (!inner.first.IsScalar()) fail(at, "a key must be a word", "write key: value");
        set(entry.first.Scalar() + "." + inner.first.Scalar(), inner.second);
      }
    }
  }
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) fail("command line", fmt::format("expected key=value, found \"{}\"", word), "for example limits.duplicates=5%");
    data::set_check_value(settings, word.substr(0, equals), word.substr(equals + 1), "command line");
  }
  return settings;
}

std::vector<data::ClassRule> parse_class_rules(const std::string& yaml, const std::string& where) {
  const YAML::Node root = parse(yaml, where);
  if (!root.IsMap() || root.size() == 0) fail(where, "the file must hold classes: name: [words]", "for example: translation: [translate, 翻译]");
  if (root.size() > kMostRules) fail(where, fmt::format("{} classes, at most {} are read", root.size(), kMostRules), "join some of them");
  std::vector<data::ClassRule> rules;
  for (const auto& entry : root) {
    const std::string at = line_of(where, entry.first);
    if (!entry.first.IsScalar() || entry.first.Scalar().empty()) fail(at, "a class's name must be a word", "write name: [words]");
    data::ClassRule rule;
    rule.name = entry.first.Scalar();
    if (entry.second.IsMap()) {
      for (const auto& part : entry.second) {
        const std::string key = part.first.IsScalar() ? part.first.Scalar() : "";
        std::vector<std::string>* list = key == "any" ? &rule.any : key == "all" ? &rule.all : key == "none" ? &rule.none : key == "starts" ? &rule.starts : nullptr;
        if (!list) fail(line_of(where, part.first), fmt::format("unknown key \"{}\" in the rule of {}", key, rule.name), "known: any, all, none, starts");
        *list = word_list(part.second, where);
      }
    } else if (entry.second.IsNull()) {
      fail(at, fmt::format("the rule of {} has no words", rule.name), "write name: [words]");
    } else {
      rule.any = word_list(entry.second, where);
    }
    if (rule.any.empty() && rule.all.empty() && rule.starts.empty()) fail(at, fmt::format("the rule of {} fits no row", rule.name), "give it words: any, all or starts");
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::vector<data::ClassRule> load_class_rules(const std::filesystem::path& file) { return parse_class_rules(read_text(file, kMostBytes), file.string()); }

}  // namespace hone::recipes
