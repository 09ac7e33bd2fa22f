// A decoder-only language model: embedding, blocks, final norm, head. Families differ in how their blocks are composed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/config.h"
#include "models/lora_options.h"
#include "models/source.h"
#include "nn/block.h"
#include "nn/embedding.h"
#include "ops/linear_cross_entropy.h"

namespace hone::models {

using autograd::Variable;

/// How frozen linear weights are held in memory.
enum class BaseFormat {
  kAsStored,  // the file's own bytes, mapped: F32, F16, BF16 or GGUF blocks
  kBF16,      // plain weights rounded to BF16 on load
  kF32,       // everything decoded to F32
  kInt8,      // bytes with a scale per row, head included; with BF16 activations their products are made in int8
  kNF4,       // quantised on load, with double quantisation; embedding, head, norms and router excepted
};

struct LoadOptions {
  DType activation = DType::kBF16;  // F32 or BF16
  BaseFormat base = BaseFormat::kAsStored;
  bool panels = false;              // for generation: blocks as stored are laid out in panels (quant/panels.h), where that is faster
  bool train_all = false;           // full fine-tuning: every weight becomes an F32 parameter
  std::vector<std::string> whole = {};  // the same for modules whose name ends so; one that ends none is Error{kInvalidInput}
  std::map<std::string, Tensor> replaced = {};  // weights that stand in place of the source's: F32, rows in its order, by canonical name
  int64_t max_positions = 0;        // rotary angles to prepare; 0: the config's context length, at most 32768
};

class CausalLm {
 public:
  static CausalLm load(const ModelSource& source, const LoadOptions& options);

  const ModelConfig& config() const { return config_; }
  DType activation() const { return activation_; }
  /// Tokens a sequence may hold: the rotary angles that were prepared.
  int64_t max_positions() const { return rope_.cos.size(0); }

  /// Final normed hidden states (T, C). `checkpointing` keeps only the blocks' inputs for the backward pass.
  Variable hidden(const nn::Sequence& sequence, const nn::Pass& pass, nn::KvCache* cache = nullptr,
                  bool checkpointing = false) const;
  /// Logits (rows, V) F32 of hidden states (rows, C).
  Variable logits(const Variable& hidden) const;
  /// Bytes of logits that exist at the same time while `loss` trains on so many labelled rows.
  int64_t logit_bytes(int64_t labelled) const { return 4 * labelled * ops::logit_columns_at_once(labelled, config_.vocab_size); }
  /// scale · Σ −log p(label) over the labelled tokens; labels as in ops::linear_cross_entropy.
  ops::TokenLoss loss(const nn::Sequence& sequence, const ops::Labels& labels, float scale, const nn::Pass& pass,
                      bool checkpointing = false) const;

  /// Every linear layer but the head, in a fixed order; names as in the checkpoint.
  void each_linear(const std::function<void(nn::Linear&)>& fn);
  void visit_linears(const std::function<void(const nn::Linear&)>& fn) const;
  nn::Embedding& embedding() { return embedding_; }
  const nn::Embedding& embedding() const { return embedding_; }
  /// Its weight is the embedding's table itself where the two are tied and neither was changed alone.
  nn::Linear& head() { return head_; }
  const nn::Linear& head() const { return head_; }
  /// Everything trainable, in a fixed order: weights that are trained themselves, then what belongs to adapters (is_adapter_leaf).
  std::vector<std::shared_ptr<autograd::Leaf>> parameters();
  /// LoadOptions::replaced.
  const std::map<std::string, Tensor>& replaced() const { return replaced_; }
  /// Bytes of the weights that live in memory of their own (not mapped from the file).
  size_t owned_weight_bytes() const { return owned_bytes_; }
  /// Bytes of the weights that are read where they lie in the mapped file.
  size_t mapped_weight_bytes() const { return mapped_bytes_; }

  float dropout = 0;  // dropout_rate; see nn::Block

 private:
  class Loader;

  ModelConfig config_;
  DType activation_ = DType::kBF16;
  nn::Embedding embedding_;
  std::vector<nn::Block> blocks_;
  Variable final_norm_;
  nn::Linear head_;
  ops::RopeTable rope_;
  std::vector<std::shared_ptr<autograd::Leaf>> full_parameters_;
  std::map<std::string, Tensor> replaced_;
  size_t owned_bytes_ = 0, mapped_bytes_ = 0;
};

/// "….lora_A.weight", "….lora_B.weight", "….lora_embedding_A", "….lora_magnitude_vector": a part of an adapter, no weight of the model.
bool is_adapter_leaf(const std::string& name);

/// Attaches fresh adapters. Returns how many layers got one. Throws Error naming the setting: kInvalidInput for targets and patterns that match
/// nothing, kUnsupported for kinds that do not go together.
int64_t add_lora(CausalLm& model, const LoraOptions& options);

}  // namespace hone::models
