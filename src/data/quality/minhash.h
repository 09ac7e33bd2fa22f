// How alike two texts are, from 120 bytes each.
//
// Sets of shingles, compared by their Jaccard similarity |A ∩ B| / |A ∪ B|. Broder, "On the resemblance and containment of
// documents" (1997); one permutation and bins: Li, Owen, Zhang, "One permutation hashing" (2012); empty bins: Shrivastava,
// "Optimal densification for fast and accurate minwise hashing" (2017).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace hone::data {

inline constexpr int kMinHashes = 120;

/// The low 8 bits of 120 minima. Two of them agree in a place with probability J + (1 − J) / 256.
using Signature = std::array<uint8_t, kMinHashes>;

/// Hashes of the shingles of a normalized text, sorted, each once. A shingle begins at every character and ends with the first
/// character that makes it 6 bytes of UTF-8: six Latin letters, three Cyrillic ones, two Chinese characters. A shorter text is
/// one shingle; an empty one has none.
std::vector<uint64_t> shingles_of(std::string_view normalized);

Signature signature_of(std::string_view normalized);

/// Of two sorted sets; 0 when either is empty.
double jaccard(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b);

/// An estimate of the Jaccard similarity: standard deviation at most 0.05.
double similarity(const Signature& a, const Signature& b);

/// Texts fall into one bucket when all `rows` places of one of `bands` bands agree.
struct Banding {
  int bands = 20, rows = 6;

  /// The narrowest buckets in which two texts of similarity `threshold` still meet with probability 0.98.
  static Banding for_threshold(double threshold);
  /// Probability that two texts of similarity `j` meet: 1 − (1 − j^rows)^bands.
  double meets(double j) const;
};

/// The bucket of `signature` in a band.
uint32_t bucket_of(const Signature& signature, const Banding& banding, int band);

}  // namespace hone::data
