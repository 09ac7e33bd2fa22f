// What a row means: which columns a format has, how a format is found, and how a row becomes an example.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/config.h"
#include "data/conversation.h"
#include "data/row_json.h"

namespace hone::data {

/// A row, understood.
struct Example {
  enum class Kind { kChat, kCompletion, kText };
  Kind kind = Kind::kChat;
  Json messages;                   // kChat: [{"role": system|user|assistant|tool, "content": text, …}, …]
  Json tools;                      // kChat: an array, or null
  TurnNotes notes;                 // kChat
  std::string prompt, completion;  // kCompletion
  std::string text;                // kText
};

/// A format together with the names its columns have in one file.
struct RowFormat {
  Format format = Format::kAuto;
  std::map<std::string, std::string> columns;  // canonical name → name in the file, where they differ
  RoleNames roles = {};
  TurnRules turns = {};

  /// The file's name of a canonical column.
  const std::string& column(const std::string& canonical) const;
  /// Turns a parsed row into an example, or says what is wrong with it.
  std::optional<RowIssue> read(const Json& row, Example& example) const;
};

/// The columns a format knows, required ones first.
const std::vector<std::string>& canonical_columns(Format format);

/// Settles the format of a dataset: `wanted` if it is not kAuto, else what the keys of `first_rows` say; a key whose value is
/// null (or, in CSV, blank) is as good as absent. Throws
/// Error{kInvalidInput} when a mapped column is unknown to the format, when the keys fit none, or when the rows disagree.
RowFormat settle_format(Format wanted, const std::map<std::string, std::string>& columns,
                        const std::vector<Json>& first_rows, std::string_view where);

}  // namespace hone::data
