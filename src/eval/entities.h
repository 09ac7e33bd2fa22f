// Entities in tagged sequences, with the strict IOB2 rules of seqeval: an entity begins with B-TYPE and goes on with I-TYPE; a hit
// has the same type, beginning and end.
#pragma once

#include <string>
#include <vector>

#include "eval/classification.h"

namespace hone::eval {

/// Tokens [begin, end).
struct Entity {
  std::string type;
  size_t begin = 0, end = 0;

  bool operator==(const Entity&) const = default;
};

/// Entities in order. I-TYPE without its beginning belongs to none. Throws Error{kInvalidInput} naming `where` and the tag when one
/// does not begin with B, I or O.
std::vector<Entity> entities_of(const std::vector<std::string>& tags, const std::string& where);

/// Adds one sequence's hits, predictions and expectations by type, and returns their sum. Throws Error{kInvalidInput} naming `where`
/// when the lengths differ.
ClassCounts::Count count_entities(const std::vector<std::string>& predicted, const std::vector<std::string>& expected, const std::string& where, ClassCounts& counts);

}  // namespace hone::eval
