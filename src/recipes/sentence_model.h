// Sentence embeddings: a BERT encoder with its tokenizer and pooling, as sentence-transformers publishes them.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "data/quality/text_vectors.h"
#include "models/bert/bert.h"
#include "text/word_piece.h"

namespace hone::recipes {

/// Const functions may be called from several threads.
class SentenceModel {
 public:
  /// Whether `path` is a folder whose config.json says bert, or a GGUF file of this architecture.
  static bool is_encoder(const std::filesystem::path& path);
  /// A folder with config.json, model.safetensors, tokenizer.json or vocab.txt and, where published so, modules.json with its pooling; or a GGUF file. Without modules.json the mean
  /// is taken and made one long. Throws Error naming the file.
  static SentenceModel open(const std::filesystem::path& path);

  int64_t dimensions() const { return bert_.config().hidden_size; }
  /// Tokens of a text that are read, [CLS] and [SEP] among them.
  int64_t most_tokens() const { return most_tokens_; }
  /// One row of `out` (texts, dimensions) per text. Texts of like length are computed together, batches on all threads.
  void embed(std::span<const std::string_view> texts, float* out) const;

 private:
  SentenceModel(models::Bert bert, text::WordPiece words) : bert_(std::move(bert)), words_(std::move(words)), most_tokens_(bert_.config().max_positions) {}
  static SentenceModel open_folder(const std::filesystem::path& folder);
  static SentenceModel open_gguf(const std::filesystem::path& file);
  void read_modules(const std::filesystem::path& folder);
  void read_pooling(const std::filesystem::path& folder);

  models::Bert bert_;
  text::WordPiece words_;
  models::Pooling pooling_ = models::Pooling::kMean;
  bool normalized_ = true;
  int64_t most_tokens_;
};

/// Instructions by their sentence embeddings.
class SentenceVectors : public data::TextVectors {
 public:
  explicit SentenceVectors(SentenceModel model) : model_(std::move(model)) {}

  int64_t dimensions() const override { return model_.dimensions(); }
  void fit(const std::vector<std::string>&) override {}
  void vector(std::string_view text, float* out) const override { vectors({&text, 1}, out); }
  void vectors(std::span<const std::string_view> texts, float* out) const override { model_.embed(texts, out); }

 private:
  SentenceModel model_;
};

}  // namespace hone::recipes
