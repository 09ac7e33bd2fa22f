#include "data/edit/split.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "data/quality/field.h"
#include "data/quality/near_duplicates.h"
#include "data/quality/row_text.h"

namespace hone::data {
namespace {

std::string compared_text(const Example& example) {
  const RowText text = text_of(example);
  return normalized(text.prompt.empty() ? text.answer : text.prompt);
}

}  // namespace

SplitPlan plan_split(const Rows& rows, const SplitRules& rules, const std::function<bool()>& stop) {
  const uint32_t n = rows.size();
  const bool near = rules.group == "near-duplicates";
  std::vector<uint64_t> keys(n);
  std::vector<Signature> signatures(near ? n : 0);
  rows.each([&](const ReadRow& row, size_t) {
    const auto value = rules.group.empty() || near ? std::nullopt : field_of(row.json, row.example, rules.group);
    const std::string words = value ? std::string() : compared_text(row.example);
    keys[row.number] = value ? row_hash(*value, rules.seed) : row_hash(words, ~rules.seed);
    if (near) signatures[row.number] = signature_of(words);
  }, stop);
  std::vector<bool> skip(n);
  int64_t usable = 0;
  for (uint32_t row = 0; row < n; ++row) skip[row] = !rows.usable(row), usable += !skip[row];
  if (near) {
    RowGroups groups(n);
    std::unordered_map<uint64_t, uint32_t> first;  // equal prompts need no comparison
    std::vector<bool> repeated = skip;
    for (uint32_t row = 0; row < n; ++row) {
      if (skip[row]) continue;
      const auto [at, fresh] = first.try_emplace(keys[row], row);
      if (!fresh) groups.join(at->second, row), repeated[row] = true;
    }
    const auto shingles = [&](uint32_t row) {
      ReadRow read;
      rows.read(row, read);
      return shingles_of(compared_text(read.example));
    };
    join_near_duplicates(signatures, repeated, shingles, rules.similarity, groups);
    // A group is known by the least key in it, whatever the order of its rows.
    std::vector<uint64_t> least(n, ~uint64_t{0});
    for (uint32_t row = 0; row < n; ++row)
      if (!skip[row]) least[groups.find(row)] = std::min(least[groups.find(row)], keys[row]);
    for (uint32_t row = 0; row < n; ++row) keys[row] = least[groups.find(row)];
  }
  std::unordered_map<uint64_t, int64_t> sizes;
  for (uint32_t row = 0; row < n; ++row)
    if (!skip[row]) ++sizes[keys[row]];
  SplitPlan plan;
  plan.groups = static_cast<int64_t>(sizes.size());
  const int64_t target = rules.count > 0 ? rules.count : std::max<int64_t>(1, std::llround(rules.share * static_cast<double>(usable)));
  const std::string& where = rows.files().front().report().path;
  if (target >= usable) throw Error(ErrorCode::kInvalidInput, where, fmt::format("{} rows are to be held out of {}", target, usable), "leave some to train on");
  std::vector<std::pair<uint64_t, int64_t>> order(sizes.begin(), sizes.end());
  std::sort(order.begin(), order.end());
  std::unordered_map<uint64_t, bool> chosen;
  for (const auto& [key, size] : order) {
    plan.largest_group = std::max(plan.largest_group, size);
    if (plan.held_out_rows + size > target) continue;
    chosen.emplace(key, true);
    plan.held_out_rows += size;
  }
  if (plan.held_out_rows == 0)
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("the {} rows fall into {} groups, none of at most {} rows", usable, plan.groups, target), "hold out more rows, or group by another field");
  plan.training_rows = usable - plan.held_out_rows;
  plan.held_out.resize(n);
  for (uint32_t row = 0; row < n; ++row) plan.held_out[row] = !skip[row] && chosen.contains(keys[row]);
  return plan;
}

}  // namespace hone::data
