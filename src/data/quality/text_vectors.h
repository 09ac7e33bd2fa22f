// Instructions as vectors, for grouping those that ask alike.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/quality/classes.h"

namespace hone::data {

/// Texts to vectors. fit() is called once; then vector() and vectors(), from several threads.
class TextVectors {
 public:
  virtual ~TextVectors() = default;
  virtual int64_t dimensions() const = 0;
  /// Learns from a sample of the texts how telling their parts are.
  virtual void fit(const std::vector<std::string>& sample) = 0;
  /// Writes dimensions() values of any length; zeros for a text without content. Texts come cut to kInstructionBytes, perhaps inside a character.
  virtual void vector(std::string_view text, float* out) const = 0;
  /// One row of `out` (texts, dimensions) per text, on all threads.
  virtual void vectors(std::span<const std::string_view> texts, float* out) const;
};

/// Calls visit(term, first) for words of letters and for pairs of neighbouring Chinese, Japanese or Korean characters of a normalized text; `first` tells the first eight.
void each_term(std::string_view normalized, const std::function<void(std::string_view term, bool first)>& visit);

/// Hashed terms, weighted by log-frequency and by rarity in the sample; the first eight count twice, since an instruction begins with what it asks for.
class TermVectors : public TextVectors {
 public:
  int64_t dimensions() const override { return 512; }
  void fit(const std::vector<std::string>& sample) override;
  void vector(std::string_view text, float* out) const override;

 private:
  float rarity(uint64_t hash) const;

  std::vector<uint32_t> documents_;  // of the sample that hold a term, by its hash
  uint32_t sample_size_ = 0;
};

struct ClusterRules {
  int64_t clusters = 24;
  uint64_t seed = 42;
  int64_t sample = 20000;   // rows the centres are found on; the others join the nearest
  double same = 0.8;        // centres whose cosine is above are one class
};

/// Classes by spherical k-means over the instructions' vectors (centred), named by their most telling terms. Memory: the sample's vectors, 4 bytes per row.
RowClasses classes_by_clusters(const Rows& rows, TextVectors& vectors, const ClusterRules& rules, const std::function<bool()>& stop);

/// Rows of `points` (n, dim), each of length 1 or 0, to centres (clusters, dim) by k-means++ and Lloyd's steps; deterministic for a seed. At most n centres.
std::vector<float> spherical_k_means(const std::vector<float>& points, int64_t dim, int64_t clusters, uint64_t seed);

}  // namespace hone::data
