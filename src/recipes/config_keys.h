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

/// The mappings of the `eval:` block, which are values as a whole.
Key score_key();       // eval.score
Key dimensions_key();  // eval.dimensions

}  // namespace hone::recipes
