// Instructions as vectors by a model's own embeddings.
#pragma once

#include <memory>
#include <string>

#include "data/quality/text_vectors.h"
#include "recipes/model_files.h"

namespace hone::recipes {

/// The mean of the input embeddings of a text's tokens, rare tokens weighing more: a / (a + p(token)) with a = 10⁻³ (Arora, Liang, Ma, "A simple but tough-to-beat baseline for sentence
/// embeddings", 2017). No forward pass: a row costs about as much as its tokenisation.
class EmbeddingVectors : public data::TextVectors {
 public:
  explicit EmbeddingVectors(const ModelFiles& files);

  int64_t dimensions() const override { return table_.size(1); }
  void fit(const std::vector<std::string>& sample) override;
  void vector(std::string_view text, float* out) const override;

 private:
  std::vector<int32_t> tokens_of(std::string_view text) const;

  ModelFiles files_;
  Tensor table_;  // (V, C)
  std::vector<float> weights_;
};

/// Instructions as vectors: by a BERT encoder's sentence embeddings, by another model's input embeddings, or by their words where `model` is empty. Throws what opening the model throws.
std::unique_ptr<data::TextVectors> instruction_vectors(const std::string& model);

}  // namespace hone::recipes
