// adapter_config.json: what it says of an adapter's arithmetic, and what hone makes of every key that PEFT knows.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/name_pattern.h"
#include "io/peft.h"

namespace hone::io {

/// Names of modules as PEFT's target_modules and exclude_modules hold them: one regular expression for the whole name, or a list of
/// full names and of endings after a dot.
struct ModuleChoice {
  std::vector<std::string> names;
  std::vector<NamePattern> regex;  // none or one
  bool empty() const { return names.empty() && regex.empty(); }
  bool holds(std::string_view module) const;
};

struct PeftConfig {
  std::string base_model;
  int64_t rank = 8;
  double alpha = 8;
  double dropout = 0;
  bool rank_stabilized = false;
  bool dora = false;
  std::string bias = "none";  // none, all, lora_only
  AdapterStart start = AdapterStart::kBase;  // init_lora_weights
  bool tied = false;          // ensure_weight_tying
  ModuleChoice target, exclude;
  bool all_linear = false;    // target_modules is "all-linear", or not said
  std::vector<int64_t> layers;                                 // layers_to_transform; empty: all
  std::vector<NamePattern> layer_indices;                      // of a name whose layer they choose
  std::vector<std::string> target_parameters, modules_to_save;
  std::vector<std::pair<NamePattern, int64_t>> rank_pattern;   // in the file's order: the first that matches counts
  std::vector<std::pair<NamePattern, double>> alpha_pattern;
  std::vector<std::string> notes;                              // unknown keys, for the user

  int64_t rank_of(std::string_view module) const;
  double alpha_of(std::string_view module) const;
  /// Whether PEFT gives this module an adapter.
  bool adapts(const std::string& module) const;
  /// Whether PEFT keeps a full copy of this module.
  bool keeps_whole(std::string_view module) const;
};

/// Reads the file. Throws Error naming file and key: kInvalidInput for malformed values, kUnsupported for what would change the
/// adapter's arithmetic and is not computed.
PeftConfig read_peft_config(const std::filesystem::path& path);

/// One row of the documented table (docs/peft.md).
struct PeftKey {
  enum class Use { kRead, kWithoutEffect, kRefused };
  std::string_view key;
  Use use;
  std::string_view meaning;  // what is read of it, why it has no effect, or why any value but null, false, 0 and empty is refused
};
const std::vector<PeftKey>& peft_keys();
/// The table as Markdown.
std::string peft_key_table();

}  // namespace hone::io
