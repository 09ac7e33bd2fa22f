// Keys of other programs' files: what hone makes of each, in a table that the reader consults and docs/formats.md is printed from.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

enum class KeyUse {
  kRead,      // its value is used
  kRefused,   // it changes the result and hone does not compute it: the file is refused
  kTold,      // it changes how the model is used, not what it computes: passed over, and said
  kNoEffect,  // it changes nothing that hone does
};

struct KnownKey {
  std::string_view name;   // a "*" at its end stands for any rest
  KeyUse use;
  std::string_view words;  // what it is, or why it is refused
  std::string_view neutral = {};  // of kRefused and kTold: values that change nothing, as JSON texts with spaces between
};

using KeyTable = std::span<const KnownKey>;

/// Whether a value is null or one of the key's neutral ones.
bool is_neutral(const KnownKey& key, const nlohmann::json& value);

/// The row of a key, or null: an exact name before a pattern, a longer pattern before a shorter one.
const KnownKey* find_key(KeyTable table, std::string_view name);

/// Goes through the keys of one file.
class KeyCheck {
 public:
  /// `where` names the file in errors and notes.
  KeyCheck(KeyTable table, std::string where) : table_(table), where_(std::move(where)) {}

  /// Throws Error{kUnsupported} for a refused key whose value is not neutral; null is neutral always. `shown`: the key as the
  /// file writes it, where the table has another form of it.
  void see(std::string_view name, const nlohmann::json& value, std::string_view shown = {});
  /// Every member of an object.
  void see_all(const nlohmann::json& object);
  /// What the user should know: keys passed over, and in one line those that the table does not have.
  std::vector<std::string> notes() const;

 private:
  KeyTable table_;
  std::string where_;
  std::vector<std::string> told_;
  std::set<std::string> unknown_;
};

/// The table as rows of Markdown: key, use, words.
std::string markdown(KeyTable table);

}  // namespace hone
