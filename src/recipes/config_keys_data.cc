// Files of rows as settings: paths, names, and mappings, hone's and its neighbours' (docs/neighbours.md).
#include <fmt/ranges.h>

#include <filesystem>
#include <map>

#include "base/error.h"
#include "recipes/config_keys.h"
#include "recipes/config_values.h"
#include "recipes/foreign_keys.h"

namespace hone::recipes {
namespace {

// {user: customer, assistant: [agent, bot]} → the file's name of each role.
std::map<std::string, std::string> read_roles(const YAML::Node& node, Where where) {
  if (!node.IsMap()) bad(where, "a mapping from a role to the file's names for it", node);
  std::map<std::string, std::string> roles;
  for (const auto& entry : node) {
    const std::string role = read_word(entry.first, where, {{"system", "system"}, {"user", "user"}, {"assistant", "assistant"}, {"tool", "tool"}, {"function_call", "function_call"}});
    const auto add = [&](const YAML::Node& name) {
      if (!roles.emplace(scalar(name, where, "a name"), role).second) throw Error(ErrorCode::kInvalidInput, where, fmt::format("\"{}\" has two roles", name.Scalar()), "keep one of them");
    };
    if (entry.second.IsSequence())
      for (const auto& name : entry.second) add(name);
    else add(entry.second);
  }
  return roles;
}

// Axolotl's `type` is a form of rows, where hone's is a file type.
void read_type(const std::string& type, Where at, data::DatasetConfig& dataset) {
  static const Words forms = {{"alpaca", "alpaca"}, {"sharegpt", "sharegpt"}, {"chat_template", "messages"}, {"chat_template.default", "messages"}, {"completion", "text"}, {"messages", "messages"}, {"text", "text"}};
  for (const auto& [word, form] : forms)
    if (word == type) {
      dataset.format = data::parse_format(form, at);
      return;
    }
  dataset.container = data::parse_container(type, at);
  if (type == "tsv" && dataset.delimiter == 0) dataset.delimiter = '\t';
}

// Entries of one file; more where data_files lists several.
std::vector<data::DatasetConfig> read_dataset(const YAML::Node& node, Where where) {
  data::DatasetConfig dataset;
  if (node.IsScalar()) {
    dataset.path = node.Scalar();
    return {dataset};
  }
  if (!node.IsMap()) bad(where, "a path, or a mapping with path", node);
  // What other trainers' entries say beside it (docs/neighbours.md).
  static const std::map<std::string, std::string> columns = {{"field_messages", "messages"}, {"message_field_role", "role"}, {"message_field_content", "content"}, {"field_system", "system"}, {"field_tools", "tools"},
                                                             {"field_instruction", "instruction"}, {"field_input", "input"}, {"field_output", "output"}, {"field", "text"}, {"field_human", "from"}, {"field_model", "value"}};
  static const std::vector<std::string> known = {"path", "type", "format", "columns", "roles", "delimiter", "weight", "max_rows"};
  std::vector<std::string> files;
  std::string unknown, near;
  const auto add_columns = [&](const YAML::Node& mapping, Where at) {
    if (!mapping.IsMap()) bad(at, "a mapping from hone's column to the file's", mapping);
    for (const auto& column : mapping) dataset.columns[column.first.Scalar()] = scalar(column.second, at, "a column name");
  };
  for (const auto& [name, value] : merged_entries(node, where)) {
    const std::string key = name.Scalar(), at = where + "." + key;
    if (value.IsNull()) continue;
    if (key == "path") dataset.path = scalar(value, at, "a path");
    else if (key == "type" || key == "ds_type") read_type(scalar(value, at, "a word"), at, dataset);
    else if (key == "format") dataset.format = data::parse_format(scalar(value, at, "a word"), at);
    else if (key == "weight") dataset.weight = read_number(value, at, 1e-6, 1000);
    else if (key == "max_rows" || key == "num_samples") dataset.max_rows = read_integer(value, at, 0, int64_t{1} << 40);
    else if (key == "delimiter") {
      const std::string text = scalar(value, at, "one character");
      if (text.size() != 1) bad(at, "one character", value);
      dataset.delimiter = text[0];
    } else if (key == "columns" || key == "message_property_mappings") add_columns(value, at);
    else if (key == "roles") dataset.roles = read_roles(value, at);
    else if (columns.contains(key)) dataset.columns[columns.at(key)] = scalar(value, at, "a column name");
    else if (key == "data_files") files = texts_of(value, at);
    else if (key == "split" && value.IsScalar() && (value.Scalar() == "train" || value.Scalar() == "test")) continue;
    else if (key == "split") throw Error(ErrorCode::kUnsupported, at, fmt::format("a file has no splits but train and test, found {}", described(value)), "name a file that holds just these rows, or take its first ones with max_rows");
    else if (key == "chat_template" && value.IsScalar() && is_family_template(value.Scalar())) continue;
    else if (key == "name" || key == "trust_remote_code" || key == "revision" || key == "conversation") continue;
    else if (const auto meaning = foreign_meaning(key, described(value)); meaning && meaning->use == ForeignMeaning::Use::kRefused)
      throw Error(ErrorCode::kUnsupported, at, "is not offered", meaning->hint);
    else if (!meaning) {
      unknown += fmt::format("{}\"{}\"", unknown.empty() ? "" : ", ", key);
      if (near.empty()) near = nearest(key, known);
    }
  }
  if (!unknown.empty())
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("unknown key{} {}", unknown.find(',') == std::string::npos ? "" : "s", unknown), near.empty() ? fmt::format("known: {}", fmt::join(known, ", ")) : fmt::format("did you mean \"{}\"?", near));
  std::vector<data::DatasetConfig> list;
  for (const std::string& file : files) {
    list.push_back(dataset);
    list.back().path = file;
  }
  if (files.empty()) list.push_back(dataset);
  if (list.front().path.empty()) throw Error(ErrorCode::kInvalidInput, where, "path is missing", "name the file");
  return list;
}

std::vector<data::DatasetConfig> read_datasets(const YAML::Node& node, Where where) {
  std::vector<data::DatasetConfig> list;
  std::error_code ignored;
  if (node.IsSequence()) {
    for (size_t i = 0; i < node.size(); ++i)
      for (auto& dataset : read_dataset(node[i], fmt::format("{}[{}]", where, i))) list.push_back(std::move(dataset));
  } else if (node.IsScalar() && node.Scalar().find(',') != std::string::npos && !std::filesystem::exists(node.Scalar(), ignored)) {
    for (const std::string& name : words_of(node, where, /*at_spaces=*/false)) list.emplace_back().path = name;
  } else {
    list = read_dataset(node, where);
  }
  return list;
}

std::string write_datasets(const std::vector<data::DatasetConfig>& list) {
  std::vector<std::string> entries;
  for (const auto& d : list) {
    std::string entry = fmt::format("{{path: {}, type: {}, format: {}, weight: {}", in_quotes(d.path), data::name(d.container), data::name(d.format), d.weight);
    if (d.max_rows > 0) entry += fmt::format(", max_rows: {}", d.max_rows);
    if (d.delimiter) entry += fmt::format(", delimiter: {}", in_quotes(std::string(1, d.delimiter)));
    if (!d.columns.empty()) {
      std::vector<std::string> columns;
      for (const auto& [ours, theirs] : d.columns) columns.push_back(fmt::format("{}: {}", ours, in_quotes(theirs)));
      entry += fmt::format(", columns: {{{}}}", fmt::join(columns, ", "));
    }
    if (!d.roles.empty()) {
      std::map<std::string, std::vector<std::string>> names;
      for (const auto& [theirs, role] : d.roles) names[role].push_back(in_quotes(theirs));
      std::vector<std::string> roles;
      for (const auto& [role, theirs] : names) roles.push_back(fmt::format("{}: [{}]", role, fmt::join(theirs, ", ")));
      entry += fmt::format(", roles: {{{}}}", fmt::join(roles, ", "));
    }
    entries.push_back(entry + "}");
  }
  return fmt::format("[{}]", fmt::join(entries, ", "));
}

}  // namespace

Key datasets_key(std::string path, std::vector<std::string> aliases, std::vector<data::DatasetConfig> data::DataConfig::*field, std::string meaning) {
  return {std::move(path), std::move(aliases), std::move(meaning), false,
          [field](Config& c, const YAML::Node& node, Where where) { c.data.*field = read_datasets(node, where); },
          [field](const Config& c) { return write_datasets(c.data.*field); }};
}

}  // namespace hone::recipes
