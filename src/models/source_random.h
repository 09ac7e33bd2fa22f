// A model that no file holds: weights of a given architecture drawn at random, for measuring.
#pragma once

#include <mutex>

#include "models/source.h"

namespace hone::models {

/// Weights are windows of one normal noise of standard deviation 0.02 (norms are 1), chosen by (seed, name, place): the same
/// on every machine and for any number of threads. Each tensor is made when it is asked for, in memory of its own, and nothing
/// is kept here: a loader that quantises holds one tensor's plain form at a time, and one that keeps weights as they are
/// stored holds as many resident bytes as a mapped file that has been read.
class RandomSource : public ModelSource {
 public:
  /// `type` is that of the linear layers (F32, BF16 or a GGUF block type). What llama.cpp's quantiser would not store in it is
  /// stored as it would be: rows that are not whole blocks in a smaller block or BF16, the head of a quantised model in Q6_K or
  /// Q8_0, vectors and the router in F32.
  RandomSource(ModelConfig config, DType type, uint64_t seed, const std::string& label);

  bool has(std::string_view name) const override { return weights_.find(name) != weights_.end(); }
  Tensor tensor(std::string_view name) const override;
  void drop_pages() const override {}
  void check_unchanged() const override {}  // nothing that another program could change

  std::vector<std::filesystem::path> weight_files() const override { return {}; }

  /// Bytes of all weights as a file would hold them, and how many values they are.
  uint64_t bytes() const;
  int64_t values() const;

 private:
  struct Spec {
    Shape shape;
    DType type;
  };
  const std::vector<std::byte>& noise(DType type) const;

  uint64_t seed_;
  std::map<std::string, Spec, std::less<>> weights_;
  mutable std::mutex lock_;
  mutable std::map<DType, std::vector<std::byte>> noise_;
};

}  // namespace hone::models
