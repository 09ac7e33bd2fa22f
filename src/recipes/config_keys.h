// The table of configuration keys: one row per key, for reading, writing, checking and documenting it.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <string>
#include <vector>

#include "recipes/config.h"

namespace hone::recipes {

struct Key {
  std::string path;                  // "training.batch_size"
  std::vector<std::string> aliases;  // also accepted, dotted or bare
  std::string meaning;
  bool resumable;                    // may differ when a run is resumed
  std::function<void(Config&, const YAML::Node&, const std::string& where)> read;
  std::function<std::string(const Config&)> write;  // a YAML value; empty: not written
};

const std::vector<Key>& key_table();

/// The entries of a mapping with those that its merge keys (`<<: *anchor`, or a list of them) bring; its own come first and win. `merged`
/// gets the mappings that were merged. Throws Error{kInvalidInput} when they nest without end.
std::vector<std::pair<YAML::Node, YAML::Node>> merged_entries(const YAML::Node& map, const std::string& where, std::vector<YAML::Node>* merged = nullptr);

/// A value in one line for foreign_meaning: a scalar's text, "" for null and for what is empty, "[a,b]", "{key,key}".
std::string described(const YAML::Node& value);

/// A list of files of rows.
Key datasets_key(std::string path, std::vector<std::string> aliases, std::vector<data::DatasetConfig> data::DataConfig::*field, std::string meaning);

/// The `eval:` block.
std::vector<Key> eval_keys();

}  // namespace hone::recipes
