#include "eval/entities.h"

#include <algorithm>

#include "base/error.h"

namespace hone::eval {
namespace {

// "B-PER" → "PER", "B" → "_".
std::string type_of(const std::string& tag) {
  const size_t first = tag.find_first_not_of('-', 1);
  if (first == std::string::npos) return "_";
  return tag.substr(first, tag.find_last_not_of('-') - first + 1);
}

}  // namespace

std::vector<Entity> entities_of(const std::vector<std::string>& tags, const std::string& where) {
  std::vector<Entity> entities;
  bool inside = false;
  for (size_t i = 0; i < tags.size(); ++i) {
    const char kind = tags[i].empty() ? '\0' : tags[i][0];
    if (kind != 'B' && kind != 'I' && kind != 'O')
      throw Error(ErrorCode::kInvalidInput, where, fmt::format("tag {}: expected O, B-TYPE or I-TYPE, found \"{}\"", i + 1, tags[i]), "write the tags in the IOB2 scheme");
    std::string type = kind == 'O' ? "" : type_of(tags[i]);
    if (kind == 'B') entities.push_back({std::move(type), i, i + 1});
    else if (kind == 'I' && inside && entities.back().type == type) entities.back().end = i + 1;
    inside = !entities.empty() && entities.back().end == i + 1;
  }
  return entities;
}

ClassCounts::Count count_entities(const std::vector<std::string>& predicted, const std::vector<std::string>& expected, const std::string& where, ClassCounts& counts) {
  if (predicted.size() != expected.size())
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("expected {} tags, found {}", expected.size(), predicted.size()), "give every token a tag on both sides");
  const std::vector<Entity> found = entities_of(predicted, where), wanted = entities_of(expected, where);
  ClassCounts::Count sum;
  for (const Entity& e : wanted) {
    const auto same = std::lower_bound(found.begin(), found.end(), e.begin, [](const Entity& f, size_t begin) { return f.begin < begin; });
    const bool hit = same != found.end() && *same == e;
    counts.add(e.type, {hit, 0, 1});
    sum.hits += hit, ++sum.expected;
  }
  for (const Entity& e : found) {
    counts.add(e.type, {0, 1, 0});
    ++sum.predicted;
  }
  return sum;
}

}  // namespace hone::eval
