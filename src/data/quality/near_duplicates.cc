#include "data/quality/near_duplicates.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

namespace hone::data {
namespace {

constexpr double kClear = 0.12;      // estimates farther than this from the threshold need no second look
constexpr size_t kLeaders = 4;       // rows of a bucket that stand for it
constexpr size_t kKeptShingles = 64;  // rows whose shingles are kept for the next comparison

// Calls `visit(rows)` for each bucket of `band` that holds two rows or more; rows are in ascending order.
template <class Visit>
void each_bucket(const std::vector<Signature>& signatures, const std::vector<bool>& skip, const Banding& banding, int band, std::vector<uint64_t>& entries, Visit visit) {
  entries.clear();
  for (size_t row = 0; row < signatures.size(); ++row)
    if (!skip[row]) entries.push_back(uint64_t{bucket_of(signatures[row], banding, band)} << 32 | row);
  std::sort(entries.begin(), entries.end());
  std::vector<uint32_t> rows;
  for (size_t begin = 0; begin < entries.size();) {
    size_t end = begin + 1;
    while (end < entries.size() && entries[end] >> 32 == entries[begin] >> 32) ++end;
    if (end - begin > 1) {
      rows.clear();
      for (size_t i = begin; i < end; ++i) rows.push_back(static_cast<uint32_t>(entries[i]));
      visit(rows);
    }
    begin = end;
  }
}

uint64_t exact_budget(size_t rows) { return rows / 2 + 10000; }

}  // namespace

RowGroups::RowGroups(uint32_t rows) : parent_(rows) { std::iota(parent_.begin(), parent_.end(), 0u); }

uint32_t RowGroups::find(uint32_t row) {
  while (parent_[row] != row) row = parent_[row] = parent_[parent_[row]];
  return row;
}

void RowGroups::join(uint32_t a, uint32_t b) {
  a = find(a), b = find(b);
  if (a < b) parent_[b] = a;
  else parent_[a] = b;
}

PairJudge::PairJudge(const std::vector<Signature>& signatures, ShingleReader shingles, double threshold, uint64_t exact_left)
    : signatures_(signatures), reader_(std::move(shingles)), threshold_(threshold), exact_left_(exact_left) {}

const std::vector<uint64_t>& PairJudge::shingles_of_row(uint32_t row) {
  if (const auto found = kept_.find(row); found != kept_.end()) return found->second;
  return kept_.emplace(row, reader_(row)).first->second;
}

double PairJudge::exact(uint32_t a, uint32_t b) {
  if (kept_.size() > kKeptShingles) kept_.clear();
  const auto& first = shingles_of_row(a);  // references into an unordered_map outlive insertions
  return jaccard(first, shingles_of_row(b));
}

bool PairJudge::alike(uint32_t a, uint32_t b) {
  const double estimate = similarity(signatures_[a], signatures_[b]);
  if (estimate < threshold_ - kClear) return false;
  if (estimate > threshold_ + kClear) return true;
  if (exact_left_ == 0) return estimate >= threshold_;
  --exact_left_;
  return exact(a, b) >= threshold_;
}

void join_near_duplicates(const std::vector<Signature>& signatures, const std::vector<bool>& skip, const ShingleReader& shingles, double threshold, RowGroups& groups) {
  const Banding banding = Banding::for_threshold(threshold);
  PairJudge judge(signatures, shingles, threshold, exact_budget(signatures.size()));
  std::unordered_set<uint64_t> differ;  // pairs already found unlike: they meet again in other bands
  std::vector<uint64_t> entries;
  std::vector<uint32_t> leaders;
  for (int band = 0; band < banding.bands; ++band) {
    each_bucket(signatures, skip, banding, band, entries, [&](const std::vector<uint32_t>& rows) {
      leaders.clear();
      for (const uint32_t row : rows) {
        bool joined = false;
        for (const uint32_t leader : leaders)
          if (groups.find(leader) == groups.find(row)) joined = true;
        for (size_t i = 0; i < leaders.size() && !joined; ++i) {
          const uint64_t pair = uint64_t{leaders[i]} << 32 | row;
          if (differ.contains(pair)) continue;
          if (judge.alike(leaders[i], row)) groups.join(leaders[i], row), joined = true;
          else if (differ.size() < (size_t{1} << 20)) differ.insert(pair);
        }
        if (!joined && leaders.size() < kLeaders) leaders.push_back(row);
      }
    });
  }
}

std::vector<int64_t> nearest_before(const std::vector<Signature>& signatures, const std::vector<bool>& skip, const ShingleReader& shingles, double threshold, uint32_t first_probe) {
  const Banding banding = Banding::for_threshold(threshold);
  PairJudge judge(signatures, shingles, threshold, exact_budget(signatures.size()));
  std::vector<int64_t> found(signatures.size() - first_probe, -1);
  std::vector<uint64_t> entries;
  for (int band = 0; band < banding.bands; ++band) {
    each_bucket(signatures, skip, banding, band, entries, [&](const std::vector<uint32_t>& rows) {
      const auto probes = std::lower_bound(rows.begin(), rows.end(), first_probe);
      const auto known = static_cast<size_t>(probes - rows.begin());
      for (auto probe = probes; probe != rows.end(); ++probe) {
        int64_t& match = found[*probe - first_probe];
        // The closest by signature first: it decides for most.
        const auto closest = std::max_element(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(known, 256)), [&](uint32_t a, uint32_t b) {
          return similarity(signatures[a], signatures[*probe]) < similarity(signatures[b], signatures[*probe]);
        });
        if (match < 0 && known > 0 && judge.alike(*closest, *probe)) match = *closest;
      }
    });
  }
  return found;
}

}  // namespace hone::data
