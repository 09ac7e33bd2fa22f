#include "recipes/instruction_vectors.h"

#include <algorithm>

#include "quant/codec.h"
#include "recipes/sentence_model.h"

namespace hone::recipes {
namespace {

constexpr float kSmooth = 1e-3f;

}  // namespace

EmbeddingVectors::EmbeddingVectors(const ModelFiles& files) : files_(files), table_(files.source->tensor("model.embed_tokens.weight")), weights_(static_cast<size_t>(table_.size(0)), 1.0f) {}

std::vector<int32_t> EmbeddingVectors::tokens_of(std::string_view text) const {
  return files_.tokenizer.encode(text, {.add_special = false, .parse_special = false});
}

void EmbeddingVectors::fit(const std::vector<std::string>& sample) {
  std::vector<int64_t> counts(weights_.size());
  int64_t total = 0;
  for (const std::string& text : sample) {
    for (const int32_t id : tokens_of(text)) {
      if (static_cast<size_t>(id) >= counts.size()) continue;
      ++counts[static_cast<size_t>(id)];
      ++total;
    }
  }
  for (size_t id = 0; id < counts.size(); ++id)
    weights_[id] = kSmooth / (kSmooth + static_cast<float>(counts[id]) / static_cast<float>(std::max<int64_t>(total, 1)));
}

void EmbeddingVectors::vector(std::string_view text, float* out) const {
  const int64_t width = dimensions();
  std::fill_n(out, width, 0.0f);
  std::vector<float> row(static_cast<size_t>(width));
  for (const int32_t id : tokens_of(text)) {
    if (static_cast<size_t>(id) >= weights_.size()) continue;
    quant::decode_row(table_.dtype(), table_.rows(id, id + 1).raw(), width, row.data());
    for (int64_t i = 0; i < width; ++i) out[i] += weights_[static_cast<size_t>(id)] * row[static_cast<size_t>(i)];
  }
}

std::unique_ptr<data::TextVectors> instruction_vectors(const std::string& model) {
  if (model.empty()) return std::make_unique<data::TermVectors>();
  if (const auto path = find_model(model).path; SentenceModel::is_encoder(path)) return std::make_unique<SentenceVectors>(SentenceModel::open(path));
  return std::make_unique<EmbeddingVectors>(open_model(model, ""));
}

}  // namespace hone::recipes
