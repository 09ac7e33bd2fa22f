// Which rows of many say nearly the same.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "data/quality/minhash.h"

namespace hone::data {

/// Disjoint sets of row numbers; the smallest number stands for its set.
class RowGroups {
 public:
  explicit RowGroups(uint32_t rows);
  uint32_t find(uint32_t row);
  void join(uint32_t a, uint32_t b);
  uint32_t rows() const { return static_cast<uint32_t>(parent_.size()); }

 private:
  std::vector<uint32_t> parent_;
};

/// The shingles of a row, read again from its file; may be called for any row.
using ShingleReader = std::function<std::vector<uint64_t>(uint32_t row)>;

/// Decides about pairs: by their signatures where these are clear (0.12 from the threshold, about three standard deviations), else by the
/// shingles themselves, for at most `exact_left` pairs.
class PairJudge {
 public:
  PairJudge(const std::vector<Signature>& signatures, ShingleReader shingles, double threshold, uint64_t exact_left);
  bool alike(uint32_t a, uint32_t b);
  /// The exact similarity.
  double exact(uint32_t a, uint32_t b);

 private:
  const std::vector<uint64_t>& shingles_of_row(uint32_t row);

  const std::vector<Signature>& signatures_;
  ShingleReader reader_;
  double threshold_;
  uint64_t exact_left_;
  std::unordered_map<uint32_t, std::vector<uint64_t>> kept_;
};

/// Joins in `groups` the rows whose similarity reaches `threshold`, transitively. Rows for which `skip` is true take no part.
/// Memory: 8 bytes per row besides the signatures. In one bucket a row is compared with at most four others that differ.
void join_near_duplicates(const std::vector<Signature>& signatures, const std::vector<bool>& skip, const ShingleReader& shingles, double threshold, RowGroups& groups);

/// For each row from `first_probe` on, a row below it that is alike, or −1.
std::vector<int64_t> nearest_before(const std::vector<Signature>& signatures, const std::vector<bool>& skip, const ShingleReader& shingles, double threshold, uint32_t first_probe);

}  // namespace hone::data
