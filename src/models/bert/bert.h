// BERT (Devlin et al. 2019): an encoder in which every token sees all others. Here it makes one vector of a text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf.h"
#include "ops/linear.h"

namespace hone::models {

using autograd::Variable;

/// How the vectors of a text's tokens become one.
enum class Pooling { kMean, kCls };

struct BertConfig {
  int64_t hidden_size = 0;        // C
  int64_t layers = 0;
  int64_t heads = 0;              // H
  int64_t intermediate_size = 0;  // F
  int64_t vocab_size = 0;         // V
  int64_t max_positions = 0;
  int64_t token_types = 2;
  float norm_eps = 1e-12f;
};

/// From config.json. Throws Error naming `where` for numbers out of range, Error{kUnsupported} for another model_type, activation or kind of position.
BertConfig bert_config_from_json(const nlohmann::json& json, const std::string& where);
/// From GGUF metadata (architecture bert).
BertConfig bert_config_from_gguf(const io::Gguf& gguf);

/// Const functions may be called from several threads.
class Bert {
 public:
  /// The weight of a Hugging Face name without prefix ("encoder.layer.0.output.dense.weight"); undefined when there is none.
  using Weights = std::function<Tensor(const std::string& name)>;

  /// Throws Error{kInvalidInput} naming `where` for a weight that is missing or has another shape than the configuration wants.
  static Bert load(const BertConfig& config, const Weights& weights, const std::string& where);

  const BertConfig& config() const { return config_; }

  /// One row of `out` (texts, C) per text, not normalised. A text is 1 to max_positions ids below V; all of them are computed together, without padding.
  void embed(std::span<const std::vector<int32_t>> texts, Pooling pooling, float* out) const;

 private:
  struct Dense {
    Variable weight, bias;  // (N, K) as stored, (N) F32
  };
  struct Norm {
    Variable weight, bias;  // (C) F32
  };
  struct Layer {
    Dense q, k, v, attention_out, up, down;
    Norm attention_norm, output_norm;
  };

  /// (T, C) F32 of tokens that lie end to end.
  Variable hidden(const Tensor& ids, const Tensor& positions, const Tensor& segments) const;

  BertConfig config_;
  Variable words_, positions_, types_;  // (V, C), (P, C), (token types, C)
  Norm embedding_norm_;
  std::vector<Layer> layers_;
};

/// A weight's name in GGUF by its Hugging Face name; empty for none.
std::string bert_gguf_name(std::string_view name);

}  // namespace hone::models
