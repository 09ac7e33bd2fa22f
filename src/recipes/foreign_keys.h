// Settings files of LLaMA-Factory, Axolotl, TRL and Unsloth: what their keys mean here (docs/neighbours.md).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hone::recipes {

/// Whose file it is, by its top-level keys.
enum class Dialect { kOwn, kLlamaFactory, kAxolotl, kTrl, kUnsloth };

std::string_view name(Dialect dialect);  // "LLaMA-Factory" …
Dialect dialect_of(const std::vector<std::string>& top_level_keys);

/// A setting in hone's words: its key and its value as YAML.
struct ForeignSetting {
  std::string key, yaml;
};

/// A file's top-level keys, and its settings of hone's own keys that are scalars.
struct ForeignFile {
  std::vector<std::string> keys;
  std::map<std::string, std::string> settings;  // key → YAML
};

/// What holds in a dialect where its file says nothing and hone's own default differs. Throws Error{kInvalidInput} where its trainer
/// would pass over what the file says.
std::vector<ForeignSetting> defaults_of(Dialect dialect, const ForeignFile& file);

/// What a neighbour's key with this value (a YAML scalar; "" for null, "[…]" or "{…}" where it is a list or a mapping that is not empty) comes to.
struct ForeignMeaning {
  enum class Use { kComputed, kWithoutEffect, kRefused } use = Use::kWithoutEffect;
  std::vector<ForeignSetting> settings;  // kComputed; may be none: the value is what hone does anyway
  std::string hint;                      // kRefused: what to do instead; kWithoutEffect: a word on it, may be empty
};
/// nullopt for a key that no neighbour is known to have.
std::optional<ForeignMeaning> foreign_meaning(std::string_view key, std::string_view value);

/// Every key that foreign_meaning knows by its whole name, and the prefixes ("wandb_*"), in the order of the table.
std::vector<std::string> foreign_keys();

/// Whether LLaMA-Factory's or Unsloth's name of a template means the template of a model family, which the model brings itself.
bool is_family_template(std::string_view name);

}  // namespace hone::recipes
